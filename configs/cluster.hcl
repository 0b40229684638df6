# A host on an etcd cluster that runs elsewhere: etcd 3.5 or older, started
# with --enable-v2. Hosts with the same endpoints and prefix share all state.
#
# With authentication and TLS, add to the etcd block:
#
#   username      = "modhost"
#   password_file = "/etc/modhost/password"
#   tls {
#     ca_file   = "/etc/modhost/ca.pem"     # absent: the system's authorities
#     cert_file = "/etc/modhost/client.pem" # with key_file, or neither
#     key_file  = "/etc/modhost/client.key"
#   }

listen   = "127.0.0.1:4001"
data_dir = "data"

etcd {
  endpoints = ["http://127.0.0.1:2379"]
  prefix    = "/_mod" # all keys of all modules live below
}

module "lock" {
  mounts = ["/mod/lock", "/mod/v2/lock"]
}

module "leader" {
  mounts = ["/mod/leader", "/mod/v2/leader"]
}

module "dashboard" {
  privileges = ["keys", "cluster", "modules"]
}
