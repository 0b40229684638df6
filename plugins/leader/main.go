// Modhost-leader is the leader module: candidates of an election hang on one
// curl line until they lead. Its README is the documentation of the HTTP API.
package main

import "github.com/etcd-modules/modhost/sdk"

func main() { sdk.Serve("leader", Config{}, New) }
