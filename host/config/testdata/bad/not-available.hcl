etcd {
  api = "v3"
}
