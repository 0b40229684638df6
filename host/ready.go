package host

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/host/supervisor"
)

// Ready is a module that serves.
type Ready struct {
	Module string // its name
	URL    string // of its first mount, for a client on this machine
}

const (
	// readyInterval is how often awaitReady looks. The supervisor's listing
	// is a few loads; nobody notices the delay.
	readyInterval = 20 * time.Millisecond

	// readyPatience is how long one module that is slow to start, or hangs,
	// keeps the addresses of the others from being printed.
	readyPatience = 10 * time.Second
)

// awaitReady calls onReady when no enabled module is on its way up any more,
// or when some are ready and the rest takes too long.
func (h *Host) awaitReady(ctx context.Context, modules func() []supervisor.Status) {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for begun := time.Now(); ; {
		now := modules()
		if settled(now) || time.Since(begun) > readyPatience && slices.ContainsFunc(now, isReady) {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	state := map[string]supervisor.State{}
	for _, m := range modules() {
		state[m.Name] = m.State
	}
	var ready []Ready
	for _, m := range h.cfg.Modules {
		if state[m.Name] == supervisor.Ready {
			ready = append(ready, Ready{m.Name, h.url(m.Mounts[0])})
		}
	}
	h.onReady(ready)
}

func isReady(m supervisor.Status) bool { return m.State == supervisor.Ready }

// settled reports whether each module is ready, failed or switched off.
func settled(modules []supervisor.Status) bool {
	for _, m := range modules {
		if m.Enabled && m.State != supervisor.Ready && m.State != supervisor.Failed {
			return false
		}
	}
	return true
}

// reachable returns the address at which a client on this machine finds a
// listener, which may listen on all interfaces.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		// An IPv6 listener on all interfaces takes IPv4, too.
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
