etcd {
  prefix = "/a b"
}
