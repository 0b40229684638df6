// Member is one etcd server for the tests: etcd as a process of its own, which
// can be killed, stopped and started again. Its argument is a config file in
// etcd's own format. It ends when its standard input does, that is when the
// test that has started it ends in whatever way.
package main

import (
	"fmt"
	"io"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	go func() { // until the end of the process, which it may be the cause of
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // an error is an end, too
		fmt.Fprintln(os.Stderr, "end of the input")
		os.Exit(1)
	}()
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
