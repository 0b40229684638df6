log_level = debug
module "lock" {
  args = ["${home}/x"]
  config {
    a = [for x in ["a"] : x]
    b = path.module
  }
}
