listen        = "127.0.0.1:4001" # address:port; port 0 picks one and prints it
plugin_dir    = ""               # "" = the folder of the modhost executable
data_dir      = "data"           # relative to the working directory
log_level     = "info"           # trace debug info warn error
log_format    = "text"           # text json
drain_timeout = "10s"
allowed_hosts = [] # names accepted in Host besides IP literals and localhost

admin {
  listen = "unix:data/admin.sock" # default: admin.sock in data_dir, mode 0600; TCP only with token_file
}
etcd {
  api    = "v2"
  prefix = "/_mod" # all keys of all modules live below
  embedded {       # either embedded, one member, peers on a unix socket ...
    listen = "127.0.0.1:2379" # busy: the error names the attribute and the way out; port 0 allowed
  }
  # endpoints = ["https://10.0.0.1:2379"]   ... or a cluster: endpoints, username, password_file, tls block
}
module "lock" { # label = name = /mod/<name>, [a-z][a-z0-9-]{0,62}, "v2" reserved; plugin = modhost-<name> in plugin_dir
  enabled = true
  mounts  = ["/mod/lock", "/mod/v2/lock"] # only below /mod/
  # command, args, env (allow list), sha256, privileges = ["keys", "cluster", "modules"]
  limits {
    concurrency     = 0
    body_bytes      = 1048576
    header_bytes    = 0
    request_timeout = "0s" # 0 = none
  }
  restart {
    max    = 5
    window = "5m"
  }
  config { # the module's own settings; the module owns their schema
  }
}
