// Command modhost serves HTTP for modules that run as plugins, with their
// state in etcd.
//
//	modhost serve --config configs/modhost.hcl
//
// Its exit codes are 0 done, 1 failed, 2 wrong usage or config, 5 no host
// answers.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // for as long as the process lives
		<-signals
		// From now on a signal does what it does to any process. Plugins die
		// with the host, the system or their lifeline sees to that. A second
		// signal that has come meanwhile must not be lost.
		signal.Stop(signals)
		select {
		case second := <-signals:
			if self, err := os.FindProcess(os.Getpid()); err == nil {
				self.Signal(second) //nolint:errcheck // it ends this process
			}
		default:
		}
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}
