listen   = env("MODHOST_TEST_UNSET")
data_dir = "${env("MODHOST_TEST_UNSET")}/data"
etcd {
  prefix = env("MODHOST_TEST_SET")
}
module "lock" {
  command = env()
  args    = [env("A", "B"), env("${env("X")}"), env(""), environ("A")]
  config {
    a = env("MODHOST_TEST_UNSET")
    b {
      c = [1, env("MODHOST_TEST_UNSET_TOO")]
    }
  }
}
