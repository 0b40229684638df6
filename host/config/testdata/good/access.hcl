allowed_hosts = ["modhost.example.org", "m"]

tls { # absent = plain HTTP
  cert_file      = "host.pem"
  key_file       = "host.key"
  client_ca_file = ""
}
cors {
  origins = ["*", "HTTPS://App.Example.org:8443", "http://[::1]:3000"]
}
access {
  token_file = "token"
}
