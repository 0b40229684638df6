etcd {
  embedded {
  }
  endpoints = ["http://10.0.0.1:2379"]
}
