lissten = "127.0.0.1:4001"
timeout = "5s"
xyz {
}
modul "lock" {
}
etcd {
  prefx = "/a"
  embeded {
  }
  embedded {
    listn = "127.0.0.1:2379"
    ssl {
    }
  }
  tls {
    ca = "x"
  }
}
module "lock" {
  enable = true
  limit {
  }
  limits {
    body_byte = 5
  }
  restart {
    maximum = 5
  }
}
