allowed_hosts = ["example.org"]
tls {
  cert_file = "host.pem"
}
cors {
  origins = ["*"]
}
admin {
}
etcd {
  api = "v3"
}
module "lock" {
  sha256     = "00"
  privileges = ["keys"]
}
