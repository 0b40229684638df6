etcd {
  prefix = "/mod/"
}
