etcd {
  endpoints     = ["https://10.0.0.1:2379", "https://[::1]:2379/"]
  username      = "modhost"
  password_file = "password"
  tls {
    ca_file   = "ca.pem"
    cert_file = "client.pem"
    key_file  = "client.key"
  }
}
