package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/hashicorp/go-hclog"
)

// refusals is a listener whose connections put what net/http answers by
// itself, to a request that it can't read, into the shape of all errors. Below
// TLS they can do that only for who speaks no TLS.
type refusals struct {
	net.Listener
	logger hclog.Logger
}

func (l refusals) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, logger: l.logger}, nil
}

// conn is one connection. What is written while no request of it has reached
// the handler is net/http's own: the answer to the first request that did not.
type conn struct {
	net.Conn
	logger  hclog.Logger
	handled atomic.Bool // since the connection was last idle
}

type connKey struct{}

// withConn is an http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// handled tells the connection of ctx, if any, that a request has reached the
// handler.
func handled(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		c.handled.Store(true)
	}
}

// marking tells connections that a request has reached h.
func marking(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handled(r.Context())
		h.ServeHTTP(w, r)
	})
}

// idle is an http.Server's ConnState: it follows the end of an answer.
func idle(c net.Conn, state http.ConnState) {
	if c, ok := c.(*conn); ok && state == http.StateIdle {
		c.handled.Store(false)
	}
}

// CloseWrite lets net/http send the end of an answer before it closes the
// connection under what the client still sends.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Write passes p on, or says the same as JSON with a request id.
func (c *conn) Write(p []byte) (int, error) {
	if c.handled.Load() || len(p) == 0 || p[0] != 'H' { // of TLS the first byte is a small number
		return c.Conn.Write(p)
	}
	head, text, _ := strings.Cut(string(p), "\r\n\r\n")
	line, _, _ := strings.Cut(head, "\r\n")
	_, line, _ = strings.Cut(line, " ") // the status and its text
	number, _, _ := strings.Cut(line, " ")
	status, err := strconv.Atoi(number)
	if err != nil || status < 400 {
		return c.Conn.Write(p)
	}
	if text == "" {
		text = line
	}
	e := wire.NewError(wire.CodeRequestInvalid, "the request can't be read: "+text)
	if status == http.StatusRequestHeaderFieldsTooLarge {
		e = wire.NewError(wire.CodeTooLarge, fmt.Sprintf("the request line and the headers are larger than %d bytes; a body may be larger", headBytes))
	}
	e.Status = status
	id := rand.Text()
	a := answer{header: http.Header{requestIDHeader: {id}, "Connection": {"close"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}}
	wire.WriteError(&a, e)
	c.logger.Debug("request refused", "remote", c.RemoteAddr().String(), "status", status, "request_id", id, "error", text)
	if _, err := c.Conn.Write(a.bytes.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// answer is the http.ResponseWriter of a whole answer in memory.
type answer struct {
	header http.Header
	bytes  bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	fmt.Fprintf(&a.bytes, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	a.header.Write(&a.bytes) //nolint:errcheck // in memory
	a.bytes.WriteString("\r\n")
}

func (a *answer) Write(p []byte) (int, error) { return a.bytes.Write(p) }
