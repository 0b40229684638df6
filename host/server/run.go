package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	headTime = 10 * time.Second // for a client to send its request's head
	idleTime = 2 * time.Minute  // between requests on one connection

	// A value of 64 KiB may stand in the query, each byte of it as %XX.
	headBytes = 256 << 10
)

// Run serves h on l, which it closes, until ctx ends: with TLS if secure is not
// nil, which may have GetConfigForClient for settings that change. Then it takes no new
// connections, waits at most drain for the requests in flight, breaks off
// what is left and returns nil: the end of ctx is not an error. Otherwise it
// returns the listener's error.
//
// There is no limit on how long a request or its answer takes, since a client
// may wait for a lock for hours; only its head must come in time.
func Run(ctx context.Context, l net.Listener, secure *tls.Config, h http.Handler, logger hclog.Logger, drain time.Duration) error {
	srv := &http.Server{
		Handler:                      marking(h),
		ReadHeaderTimeout:            headTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               headBytes,
		DisableGeneralOptionsHandler: true, // its answer to OPTIONS * lacks our request id
		ConnContext:                  withConn,
		ConnState:                    idle,
		ErrorLog:                     logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		TLSConfig:                    secure,
	}
	served := make(chan error, 1)
	go func() {
		if secure == nil {
			served <- srv.Serve(refusals{l, logger})
			return
		}
		served <- srv.ServeTLS(refusals{l, logger}, "", "")
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(limit); errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("requests broken off at the end of the drain timeout", "drain_timeout", drain)
	}
	srv.Close() //nolint:errcheck // all that can fail is the listener's second close
	<-served
	return nil
}
