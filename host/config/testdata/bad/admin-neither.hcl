admin {
  listen = "data/admin.sock"
}
