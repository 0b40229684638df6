// Package pipes has a network in memory, for tests in a bubble of
// [testing/synctest].
package pipes

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A Listener listens in memory. Its connections are buffered, as those of the
// network are, and obey a deadline before SetDeadline returns, as those do
// too. (Those of grpc's bufconn may strike after it was taken back, and then
// the next request on the connection looks as if its client had left.)
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a listener that takes connections from its Dial.
func Listen() *Listener { return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept returns the next connection, and net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Dial returns a connection once it has been accepted. Its error is that of
// ctx, or net.ErrClosed.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	up, down := newPipe(), newPipe()
	select {
	case l.conns <- &conn{up, down}:
		return &conn{down, up}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends Accept and Dial. Connections live on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address that says "memory".
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// conn is one end of two pipes.
type conn struct{ in, out *pipe }

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *conn) Close() error {
	c.in.close(net.ErrClosed)
	c.out.close(io.EOF)
	return nil
}
func (c *conn) LocalAddr() net.Addr                { return &net.UnixAddr{Name: "memory"} }
func (c *conn) RemoteAddr() net.Addr               { return c.LocalAddr() }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.in.set(&c.in.reading, t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.set(&c.out.writing, t) }
func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// pipe is one direction.
type pipe struct {
	mu               sync.Mutex // guards what follows
	changed          sync.Cond
	buf              []byte
	end              error     // what a reader of an empty pipe gets; nothing can be written
	reading, writing time.Time // deadlines
}

const pipeSize = 64 << 10

func newPipe() *pipe {
	p := &pipe{}
	p.changed.L = &p.mu
	return p
}

// over reports whether a deadline has passed.
func over(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.end == net.ErrClosed:
			return 0, p.end
		case over(p.reading):
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			p.changed.Broadcast()
			return n, nil
		case p.end != nil:
			return 0, p.end
		}
		p.changed.Wait()
	}
}

func (p *pipe) write(b []byte) (total int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		n := min(len(b), pipeSize-len(p.buf))
		switch {
		case p.end != nil:
			return total, io.ErrClosedPipe
		case over(p.writing):
			return total, os.ErrDeadlineExceeded
		case n == 0:
			p.changed.Wait()
		default:
			p.buf = append(p.buf, b[:n]...)
			b, total = b[n:], total+n
			p.changed.Broadcast()
		}
	}
	return total, nil
}

// close ends the pipe: by its reader with net.ErrClosed, by its writer with
// io.EOF, which what was written comes before.
func (p *pipe) close(end error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != net.ErrClosed {
		p.end = end
	}
	p.changed.Broadcast()
}

// set sets a deadline. A timer that comes too late for one that was taken back
// finds the new one.
func (p *pipe) set(deadline *time.Time, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	*deadline = t
	p.changed.Broadcast()
	if d := time.Until(t); d > 0 && !t.IsZero() {
		time.AfterFunc(d, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		})
	}
	return nil
}
