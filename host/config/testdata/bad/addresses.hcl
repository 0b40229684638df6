listen = "127.0.0.1:99999"
etcd {
  embedded {
    listen = "2379"
  }
}
