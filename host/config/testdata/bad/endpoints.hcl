etcd {
  endpoints = [
    "10.0.0.1:2379",
    "unix:///tmp/etcd.sock",
    "http://10.0.0.1",
    "http://10.0.0.1:2379/v2",
    "http://root:secret@10.0.0.1:2379",
    "http://10.0.0.1:99999",
    "",
  ]
}
