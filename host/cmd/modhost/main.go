// Command modhost serves HTTP for modules that run as plugins, with their
// state in etcd.
//
//	modhost serve --config configs/modhost.hcl
//
// Its exit codes are 0 done, 1 failed, 2 wrong usage or config.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends ctx; from then on a signal does what it does to
	// any process. Plugins die with the host, the system or their lifeline
	// sees to that.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}
