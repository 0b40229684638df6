admin {
  listen     = "127.0.0.1:0"
  token_file = "token"
}
