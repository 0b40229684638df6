package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// inlineLimit is the declared length up to which a body is read before the
// plugin is asked, on the handler's own goroutine. net/http learns that a
// client has hung up only after the whole body was read, and a waiting request
// costs no goroutine.
const inlineLimit = 64 << 10

// upload is a request's body on its way to one process after the other. A body
// that is not read inline is read by the pump, a goroutine that lives until
// the body's end and keeps what it has read, up to ReplayLimit, until commit.
// Between two attempts no more than a read that was under way goes on.
type upload struct {
	body    io.ReadCloser
	r       *http.Request // its Trailer is filled at the body's end
	control *http.ResponseController

	mu       sync.Mutex // guards what follows and all of attempt but send
	changed  sync.Cond
	prepared bool
	size     int64  // -1: unknown
	kept     []byte // all that was read, unless over
	over     bool   // more was read than is kept
	tail     []byte // if over: what was read and is to be sent next
	eof      bool
	err      error    // reading failed
	current  *attempt // the pump sends to it
	running  bool     // the pump
	stopped  bool
}

// attempt is one process's stream of an exchange.
type attempt struct {
	stream wirepb.Module_ServeClient
	cancel func()
	sends  sync.Mutex // one sender at a time

	sent   int   // bytes of upload.kept
	credit int64 // bytes that the plugin has room for
	ended  bool  // End was sent
	broken bool  // nothing can be sent
}

func (a *attempt) send(m *wirepb.ServeRequest) error {
	a.sends.Lock()
	defer a.sends.Unlock()
	return a.stream.Send(m)
}

func newUpload(r *http.Request, control *http.ResponseController) *upload {
	u := &upload{body: r.Body, r: r, control: control, size: r.ContentLength}
	if r.Body == nil || r.Body == http.NoBody {
		u.size = 0
	}
	u.changed.L = &u.mu
	return u
}

func (u *upload) length() int64 { return u.size }

// prepare reads a small body.
func (u *upload) prepare(r *http.Request) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.prepared {
		return u.err
	}
	u.prepared = true
	switch {
	case u.size == 0:
		u.eof = true
	case u.size > 0 && u.size <= inlineLimit && len(r.Trailer) == 0 && !expectsContinue(r.Header):
		u.kept = make([]byte, u.size)
		_, err := io.ReadFull(u.body, u.kept)
		u.eof = err == nil
		u.fail(err)
	}
	return u.err
}

// fail notes that reading failed.
func (u *upload) fail(err error) {
	if err == nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	u.err = fmt.Errorf("%w: %w", ErrBody, err)
}

func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// begin sends a what is there of the body; the pump sends the rest.
func (u *upload) begin(a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.sendNext(a) {
	}
	if a.ended || a.broken {
		return
	}
	u.current = a
	if a.credit > 0 {
		u.start()
	}
}

// grant allows n more bytes.
func (u *upload) grant(a *attempt, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a.credit += n
	if u.current == a && !a.ended {
		u.start()
		u.changed.Broadcast()
	}
}

// start sees that the pump runs. The caller holds mu.
func (u *upload) start() {
	if u.running || u.stopped {
		return
	}
	u.running = true
	u.control.EnableFullDuplex() //nolint:errcheck // HTTP/2 needs none
	go u.pump()                  // stop waits for it
}

// pump reads the body and sends it to the current attempt.
func (u *upload) pump() {
	buf := frames.Get().(*[MaxFrame]byte)
	defer frames.Put(buf)
	u.mu.Lock()
	defer u.mu.Unlock()
	defer u.changed.Broadcast()
	defer func() { u.running = false }()
	for {
		a := u.current
		switch {
		case a == nil || a.broken || a.ended || u.stopped:
			return
		case u.sendNext(a):
		case len(u.unsent(a)) > 0:
			u.changed.Wait() // for credit
		case u.err != nil:
			a.broken = true
			a.cancel()
			return
		default:
			u.mu.Unlock()
			n, err := u.body.Read(buf[:])
			u.mu.Lock()
			u.read(buf[:n], err)
		}
	}
}

// read notes what was read. The caller holds mu.
func (u *upload) read(p []byte, err error) {
	switch {
	case u.over:
		u.tail = p
	case u.current == nil || len(u.kept)+len(p) <= ReplayLimit:
		u.kept = append(u.kept, p...)
	default:
		u.over = true
		u.tail = append(u.kept[u.current.sent:], p...)
		u.kept = nil
	}
	if err == io.EOF {
		u.eof = true
	} else {
		u.fail(err)
	}
}

// unsent is what was read and not sent to a. The caller holds mu.
func (u *upload) unsent(a *attempt) []byte {
	if u.over {
		return u.tail
	}
	return u.kept[a.sent:]
}

// sendNext sends a one frame, without mu, if there is one that may be sent.
// The caller holds mu and is the only one to send a's body.
func (u *upload) sendNext(a *attempt) bool {
	if a.broken || a.ended {
		return false
	}
	m := &wirepb.ServeRequest{}
	p := u.unsent(a)
	n := int(min(int64(len(p)), a.credit, MaxFrame))
	switch {
	case n > 0:
		m.Frame = &wirepb.ServeRequest_Data{Data: p[:n]}
		a.credit -= int64(n)
		if u.over {
			u.tail = p[n:]
		} else {
			a.sent += n
		}
	case len(p) == 0 && u.eof:
		m.Frame = &wirepb.ServeRequest_End{End: &wirepb.End{Trailer: headersOf(u.r.Trailer)}}
		a.ended = true
	default:
		return false
	}
	u.mu.Unlock()
	err := a.send(m)
	u.mu.Lock()
	a.broken = a.broken || err != nil
	return true
}

// end is called when a's stream has ended.
func (u *upload) end(a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a.broken = true
	u.current = nil
	u.changed.Broadcast()
}

// commit gives up what is kept for another attempt: the answer has begun.
func (u *upload) commit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return
	}
	if u.current != nil {
		u.tail = u.kept[u.current.sent:]
	}
	u.over, u.kept = true, nil
}

// replayable reports whether another attempt would get the whole body.
func (u *upload) replayable() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.over && u.err == nil && !u.stopped
}

// unfinished reports whether reading has begun and not come to the end.
func (u *upload) unfinished() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.eof && (u.running || u.stopped || len(u.kept) > 0 || u.over)
}

// stop ends the pump and waits for it. A read that waits for the client is
// woken by a deadline in the past. It is taken back afterwards, so that
// net/http can do with the rest of the body what it always does.
func (u *upload) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	if !u.running {
		return
	}
	u.changed.Broadcast()
	u.mu.Unlock()
	deadline := u.control.SetReadDeadline(time.Unix(1, 0)) == nil
	if !deadline {
		u.body.Close() //nolint:errcheck // a writer of a test; this wakes its reader
	}
	u.mu.Lock()
	for u.running {
		u.changed.Wait()
	}
	if deadline {
		u.control.SetReadDeadline(time.Time{}) //nolint:errcheck // as above
	}
}
