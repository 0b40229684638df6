allowed_hosts = ["http://a", "a:80", "10.0.0.1", "[::1]", "*.example.org", "", ".a"]
tls {
  key_file    = ""
  client_file = "clients.pem"
}
cors {
  origins = ["app.example.org", "https://a/", "https://a?", "https://u:p@a", "https://a:443", "http://a:80", "null", "ws://a", "https://é", ""]
  origin  = "*"
}
access {
}
