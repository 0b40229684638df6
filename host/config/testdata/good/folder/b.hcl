module "off" {
  enabled = false
}
module "on" {
  command = "./bin/on"
  args    = ["-v", env("MODHOST_TEST_HOST")]
  env     = ["PATH", "HOME"]
  config { greeting = "hi ${env("MODHOST_TEST_HOST")}" }
}
