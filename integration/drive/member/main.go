// Member is one etcd server for the tests: etcd as a process of its own, which
// can be killed, stopped and started again. Its argument is a config file in
// etcd's own format.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	cfg, err := embed.ConfigFromFile(os.Args[1])
	if err == nil {
		var e *embed.Etcd
		if e, err = embed.StartEtcd(cfg); err == nil {
			err = <-e.Err() // until it is killed
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
