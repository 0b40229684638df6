package supervisor

import (
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A hostAPI is where one process may ask the host and give it orders: a socket
// in its private run directory, which is there for the privilege modules only.
type hostAPI struct {
	path   string // of the socket; "" without the privilege
	server *http.Server
	served chan struct{}
}

// listenForPlugin makes the socket, if spec has the privilege. close must be
// called.
func listenForPlugin(spec Spec, dir string, handler func(module string) http.Handler, logger hclog.Logger) (*hostAPI, error) {
	if handler == nil || !slices.Contains(spec.Privileges, "modules") {
		return &hostAPI{}, nil
	}
	a := &hostAPI{path: filepath.Join(dir, "host.sock"), served: make(chan struct{})}
	l, err := net.Listen("unix", a.path)
	if err != nil {
		return nil, err
	}
	a.server = &http.Server{
		Handler:           handler(spec.Name),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	go func() { // close waits for it
		defer close(a.served)
		a.server.Serve(l) //nolint:errcheck // it was closed
	}()
	return a, nil
}

// close breaks off what is asked at the moment: the process has ended.
func (a *hostAPI) close() {
	if a.server == nil {
		return
	}
	a.server.Close() //nolint:errcheck // nobody is there any more
	<-a.served
}
