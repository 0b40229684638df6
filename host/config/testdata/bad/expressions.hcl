drain_timeout = "a" + 1
module "lock" {
  config {
    a = 1 / 0
    b = { (null) = 1 }
  }
}
