etcd "main" {
}
module {
}
module "lock" "second" {
}
module "leader" {
  config "x" {
  }
}
