etcd {
  endpoints = []
}
