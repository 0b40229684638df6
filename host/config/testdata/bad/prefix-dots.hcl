etcd {
  prefix = "/a/../b"
}
