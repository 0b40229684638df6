admin {
  listen     = "unix:"
  token_file = "token"
  port       = 4002
}
