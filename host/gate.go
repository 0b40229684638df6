package host

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/etcd-modules/modhost/host/server"
)

// gate is what the listener goes by, in the version of the latest reload. The
// caller of set has the turn.
type gate struct {
	address  string // that the host listens on
	access   access
	setRules func(server.Rules)
	settings atomic.Pointer[tls.Config] // nil: plain HTTP
}

func newGate(a access, address string, setRules func(server.Rules)) *gate {
	g := &gate{address: address, setRules: setRules}
	g.set(a)
	return g
}

// set makes a count, for requests and connections that come from now on.
func (g *gate) set(a access) {
	g.access = a
	g.settings.Store(a.tls)
	g.setRules(a.rules)
}

// tls returns the settings of the listener, nil for plain HTTP. Which of the two
// it is stays so.
func (g *gate) tls() *tls.Config {
	if g.access.tls == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return g.settings.Load(), nil },
	}
}
