allowed_hosts = ["example.org"]
tls {
  cert_file = "host.pem"
}
cors {
  origins = ["*"]
}
etcd {
  api = "v3"
}
