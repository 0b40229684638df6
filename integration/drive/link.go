package drive

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A Link is a stretch of network between a client and a server on this
// machine, which can be troubled: a proxy for TCP connections.
type Link struct {
	URL     string // http://127.0.0.1:port, for the client
	Address string // the same without http://

	target   string
	listener net.Listener
	source   func(head []byte) string // tells connections apart, see raftSource

	mu      sync.Mutex // guards what follows
	trouble Trouble
	cut     string        // connections from this source are cut, "" = none
	changed chan struct{} // closed at the next change
	closed  bool
	conns   map[net.Conn]struct{}
	running sync.WaitGroup
}

// Trouble is what is wrong with a link. The zero value is nothing.
type Trouble struct {
	Cut    bool          // nothing gets through, and nobody is told; connections live on and go on afterwards
	Refuse bool          // connections are broken off, and new ones at once
	Delay  time.Duration // of each piece, in each direction
	Lossy  float64       // probability with which a piece is lost and breaks its connection off
}

// NewLink makes a link to the server at target, host:port, which need not be
// there yet.
func NewLink(t testing.TB, target string) *Link {
	t.Helper()
	return newLink(t, target, nil)
}

func newLink(t testing.TB, target string, source func(head []byte) string) *Link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &Link{
		URL: "http://" + l.Addr().String(), Address: l.Addr().String(), target: target, listener: l, source: source,
		changed: make(chan struct{}), conns: make(map[net.Conn]struct{}),
	}
	k.running.Go(k.accept)
	t.Cleanup(k.close)
	return k
}

// Set makes tr the link's trouble, in place of what was before.
func (k *Link) Set(tr Trouble) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trouble = tr
	k.change()
	if tr.Refuse {
		k.breakOff()
	}
}

// cutFrom cuts the connections from a source, as well as what Set has said.
func (k *Link) cutFrom(source string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = source
	k.change()
}

// change wakes what is held up. Called with mu held.
func (k *Link) change() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// breakOff resets all connections. Called with mu held.
func (k *Link) breakOff() {
	for c := range k.conns {
		reset(c)
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // then it is closed the other way
	}
	c.Close() //nolint:errcheck // it may be closed
}

func (k *Link) close() {
	k.listener.Close() //nolint:errcheck // once
	k.mu.Lock()
	k.closed = true
	k.change()
	k.breakOff()
	k.mu.Unlock()
	k.running.Wait()
}

// add notes a connection; false if the link is closed.
func (k *Link) add(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.conns[c] = struct{}{}
	return true
}

func (k *Link) remove(c net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

func (k *Link) accept() {
	for {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.running.Go(func() { k.carry(c) })
	}
}

// carry is the life of one connection.
func (k *Link) carry(client net.Conn) {
	defer reset(client)
	if !k.add(client) {
		return
	}
	defer k.remove(client)
	var head []byte
	source := ""
	if k.source != nil {
		var err error
		if head, err = readHead(client); err != nil {
			return
		}
		source = k.source(head)
	}
	if !k.pass(source) {
		return
	}
	server, err := net.DialTimeout("tcp", k.target, time.Second)
	if err != nil {
		return
	}
	defer reset(server)
	if !k.add(server) {
		return
	}
	defer k.remove(server)
	var back sync.WaitGroup
	back.Go(func() { k.pump(client, server, nil, source) })
	k.pump(server, client, head, source)
	back.Wait()
}

// pump carries from src to dst, begun by first, until the end of one of them.
func (k *Link) pump(dst, src net.Conn, first []byte, source string) {
	piece := make([]byte, 32<<10)
	n := copy(piece, first)
	var err error
	for {
		if n > 0 {
			if !k.pass(source) {
				break
			}
			if _, e := dst.Write(piece[:n]); e != nil {
				break
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				if tcp, ok := dst.(*net.TCPConn); ok && k.pass(source) && tcp.CloseWrite() == nil {
					return // the other direction may go on
				}
			}
			break
		}
		n, err = src.Read(piece)
	}
	reset(src)
	reset(dst)
}

// pass waits until a piece may go on; false if it is lost with its connection.
func (k *Link) pass(source string) bool {
	delayed := false
	for {
		k.mu.Lock()
		tr, changed, closed := k.trouble, k.changed, k.closed
		if k.cut != "" && (source == k.cut || source == "") {
			tr.Cut = true
		}
		k.mu.Unlock()
		switch {
		case closed, tr.Refuse:
			return false
		case tr.Cut:
			<-changed
			continue
		case tr.Lossy > 0 && rand.Float64() < tr.Lossy:
			return false
		case tr.Delay > 0 && !delayed:
			delayed = true
			select {
			case <-time.After(tr.Delay):
			case <-changed:
			}
			continue
		}
		return true
	}
}

// readHead reads the head of an HTTP request, and what came with it.
func readHead(c net.Conn) ([]byte, error) {
	var head []byte
	piece := make([]byte, 4<<10)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := c.Read(piece)
		head = append(head, piece[:n]...)
		if err != nil || len(head) > 24<<10 {
			return head, errors.Join(err, errors.New("no head of a request"))
		}
	}
	return head, nil
}

// raftSource tells which member of a cluster a connection comes from.
func raftSource(head []byte) string {
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if http.CanonicalHeaderKey(string(name)) == "X-Server-From" {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
