etcd {
  prefix = "/a//b"
}
