etcd {
  prefix = "/"
}
