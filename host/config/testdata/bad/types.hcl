listen        = ["a"]
data_dir      = null
drain_timeout = true
module "lock" {
  enabled = "maybe"
  mounts  = "/mod/lock"
  args    = ["a", null, "b"]
  limits {
    body_bytes  = "many"
    concurrency = 1.5
  }
}
