etcd {
  endpoints     = ["https://10.0.0.1:2379"]
  password_file = "password"
  tls {
    key_file = "client.key"
  }
}
