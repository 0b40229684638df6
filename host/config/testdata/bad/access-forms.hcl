allowed_hosts = "a"
tls = "host.pem"
cors {
  origins = "*"
}
access "a" {
  token_file = "token"
}
