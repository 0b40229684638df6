data_dir = "/var/lib/modhost"
admin {
  listen     = "127.0.0.1:4002"
  token_file = "/etc/modhost/token"
}
module "hello" {
  command    = "/opt/hello/modhost-hello"
  sha256     = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdef0123"
  privileges = ["keys", "modules"]
  limits {
    header_bytes = 16384
  }
}
