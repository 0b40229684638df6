etcd {
  endpoints = ["http://10.0.0.1:2379"]
  username  = "modhost"
  tls {
    cert_file = "client.pem"
  }
}
