listen {
}
etcd = "v2"
module = "lock"
module "lock" {
  config = {}
  mounts {
  }
  limits {
    body_bytes {
    }
  }
}
