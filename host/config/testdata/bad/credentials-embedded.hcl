etcd {
  username      = "modhost"
  password_file = "password"
  tls {
    ca_file = "ca.pem"
  }
}
