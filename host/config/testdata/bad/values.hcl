listen        = "127.0.0.1"
data_dir      = ""
log_level     = "debgu"
log_format    = "yaml"
drain_timeout = "10"
etcd {
  api    = "v1"
  prefix = "_mod"
  embedded {
    listen = "etcd.example.org:2379"
  }
}
module "lock" {
  command = ""
  env     = ["A=b", "", "OK"]
  limits {
    body_bytes      = -1
    concurrency     = 99999999999
    request_timeout = "-1s"
  }
  restart {
    max    = -5
    window = "0s"
  }
}
module "other" {
  limits {
    request_timeout = "soon"
  }
}
