etcd {
  embedded {
  }
  embedded {
  }
}
etcd {
}
module "lock" {
  limits {
  }
  limits {
  }
  config {
  }
  config {
  }
}
module "lock" {
}
