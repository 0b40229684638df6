# One host with everything in it: an embedded etcd and the bundled modules.
# Runs as it is: bin/modhost serve --config configs/modhost.hcl

listen   = "127.0.0.1:4001" # address:port; port 0 picks one and prints it
data_dir = "data"           # relative to the working directory

etcd {
  embedded {
    listen = "127.0.0.1:2379" # for etcd's own clients; port 0 picks one
  }
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
