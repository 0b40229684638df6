// Modhost-lock is the lock module: a fair lock that a shell script can take
// with one curl line. Its README is the documentation of the HTTP API.
package main

import "github.com/etcd-modules/modhost/sdk"

func main() { sdk.Serve("lock", Config{}, New) }
