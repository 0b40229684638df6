listen = "127.0.0.1:4001"
etcd {
}
module "lock" {
}
