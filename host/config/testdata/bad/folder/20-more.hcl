listen = "127.0.0.1:4002"
etcd {
}
module "lock" {
}
module "leader" {
  mounts = ["/mod/lock"]
}
