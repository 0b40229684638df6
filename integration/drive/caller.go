package drive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// A Caller is a client on a connection of its own that can hang up, and listens
// on to know for certain whether it was answered before the host has seen that:
// it closes its side of the connection only. A client that closes all can't
// tell an answer that came at the last moment from none.
type Caller struct {
	t    testing.TB
	conn *net.TCPConn
}

// Dial connects to the host at address, http://host:port.
func Dial(t testing.TB, address string) *Caller {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it may be closed
	return &Caller{t, conn.(*net.TCPConn)}
}

// Dial is [Lock.Post] by a Caller.
func (l *Lock) Dial(parameters ...any) *Caller {
	l.t.Helper()
	query := make(url.Values)
	list := texts(withTTL(parameters))
	for i := 0; i < len(list); i += 2 {
		query.Add(list[i], list[i+1])
	}
	address, path, _ := strings.Cut(strings.TrimPrefix(l.URL, "http://"), "/")
	c := Dial(l.t, address)
	c.Write(fmt.Sprintf("POST /%s?%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", path, query.Encode()))
	return c
}

// Write sends what need not be HTTP.
func (c *Caller) Write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// Answer reads an answer; the connection stays open. The zero Reply says that
// the host has closed the connection without a whole one.
func (c *Caller) Answer() Reply {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	var r Reply
	if err == nil {
		r, err = read(resp)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the host has neither answered nor closed the connection after %v", Patience)
	}
	if err != nil {
		return Reply{}
	}
	return r
}

// Leave hangs up and returns the index of the grant that has come all the same,
// else 0.
func (c *Caller) Leave() (index uint64) {
	c.t.Helper()
	defer c.conn.Close() //nolint:errcheck // all has been read
	if err := c.conn.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	if r := c.Answer(); r.Status != 0 {
		index = r.Token(c.t)
	}
	return index
}

// Close breaks the connection off, as if the client's program was killed.
func (c *Caller) Close() {
	c.conn.Close() //nolint:errcheck // it may be closed
}
