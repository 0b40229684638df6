module "lock" {
  sha256     = "00"
  privileges = ["keys", "key", "root"]
  limits {
    header_bytes = 1000000
  }
}
