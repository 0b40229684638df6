admin {
  token_file = "token"
}
