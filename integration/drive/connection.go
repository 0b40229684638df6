package drive

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A Connection is a client that keeps one connection open, as curl does for
// several addresses. Unlike net/http's client it never repeats a request by
// itself: one whose connection the host breaks off has failed. The next one is
// sent on a new connection. Not safe for concurrent use.
type Connection struct {
	address string // host:port
	conn    net.Conn
	answers *bufio.Reader
}

// NewConnection returns a client of the host at address, http://host:port, that
// connects with its first request. It is closed at the end of the test.
func NewConnection(t testing.TB, address string) *Connection {
	c := &Connection{address: strings.TrimPrefix(address, "http://")}
	t.Cleanup(c.Close)
	return c
}

// Send makes one request below the host's address, with parameters as for the
// function [Send]. When ctx ends, so does the connection.
func (c *Connection) Send(ctx context.Context, method, path string, parameters ...string) (Reply, error) {
	req, err := newRequest(ctx, method, "http://"+c.address+path, parameters...)
	if err != nil {
		return Reply{}, err
	}
	if c.conn == nil {
		if c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.address); err != nil {
			return Reply{}, err
		}
		c.answers = bufio.NewReader(c.conn)
	}
	conn := c.conn
	defer context.AfterFunc(ctx, func() { conn.Close() })() //nolint:errcheck // what was read tells
	r, err := c.exchange(req)
	if err != nil || r.Header.Get("Connection") == "close" {
		c.Close()
	}
	return r, err
}

func (c *Connection) exchange(req *http.Request) (Reply, error) {
	if err := req.Write(c.conn); err != nil {
		return Reply{}, err
	}
	resp, err := http.ReadResponse(c.answers, req)
	if err != nil {
		return Reply{}, err
	}
	return read(resp)
}

// Close ends the connection, if there is one.
func (c *Connection) Close() {
	if c.conn != nil {
		c.conn.Close() //nolint:errcheck // nothing is in flight
		c.conn = nil
	}
}
