package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// inbound is what the plugin receives of one exchange after the head. No
// goroutine of its own receives: whoever waits for something, body data or the
// result of a flush, pulls frames until it has come, one puller at a time.
type inbound struct {
	ctx  context.Context // the handler's, says why receiving ended
	recv func() (*wirepb.ServeRequest, error)
	send func(*wirepb.ServeResponse) error

	mu      sync.Mutex // guards what follows, and is not held while receiving
	changed sync.Cond  // a frame came, or nobody pulls any more
	pulling bool

	data     [][]byte // received and not read yet, at most Window bytes
	held     int      // bytes in data
	owed     int      // bytes read since the last Window was sent
	waiting  bool     // the host has not been asked for the body yet
	ended    bool     // End came
	closed   bool     // Close was called on the body
	trailer  http.Header
	flushed  uint64 // the last flush that was answered
	flushErr error  // the first one that failed; the client does not come back
	err      error  // receiving failed
}

func newInbound(ctx context.Context, stream wirepb.Module_ServeServer, send func(*wirepb.ServeResponse) error) *inbound {
	in := &inbound{ctx: ctx, recv: stream.Recv, send: send}
	in.changed.L = &in.mu
	return in
}

// await returns when done is true, which it calls with mu held, or with the
// error that keeps it from becoming so. The caller holds mu.
func (in *inbound) await(done func() bool) error {
	for !done() {
		switch {
		case in.err != nil:
			return in.err
		case in.pulling:
			in.changed.Wait()
		default:
			in.pulling = true
			in.mu.Unlock()
			m, err := in.recv()
			in.mu.Lock()
			in.pulling = false
			in.take(m, err)
			in.changed.Broadcast()
		}
	}
	return nil
}

// take stores what was received. The caller holds mu.
func (in *inbound) take(m *wirepb.ServeRequest, err error) {
	if err != nil {
		in.err = err
		if cause := in.ctx.Err(); cause != nil {
			in.err = cause
		}
		return
	}
	switch f := m.Frame.(type) {
	case *wirepb.ServeRequest_Data:
		in.data = append(in.data, f.Data)
		in.held += len(f.Data)
		if in.held > Window {
			in.err = fmt.Errorf("host sent %d bytes of body, more than the window of %d", in.held, Window)
		}
	case *wirepb.ServeRequest_End:
		in.ended = true
		if f.End.GetAborted() {
			in.err = io.ErrUnexpectedEOF
			return
		}
		for _, h := range f.End.GetTrailer() {
			if trailerAllowed(h.Name) {
				in.trailer[h.Name] = valuesOf(h)
			}
		}
	case *wirepb.ServeRequest_Flushed:
		in.flushed = f.Flushed.GetSeq()
		if s := f.Flushed.GetError(); s != "" && in.flushErr == nil {
			in.flushErr = errors.New(s)
		}
	}
}

// awaitFlush waits for the result of flush seq. What the handler has not read
// of the body meanwhile is held: the window bounds it.
func (in *inbound) awaitFlush(seq uint64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.await(func() bool { return in.flushed >= seq }); err != nil {
		return err
	}
	return in.flushErr
}

// body is the request's body as the handler sees it.
type body struct{ in *inbound }

func (b body) Read(p []byte) (int, error) {
	n, grant, err := b.in.read(p)
	if grant > 0 {
		// That this fails shows in the next Read.
		b.in.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_Window{Window: &wirepb.Window{Bytes: int64(grant)}}}) //nolint:errcheck
	}
	if n == 0 && err == nil && grant > 0 && len(p) > 0 {
		n, _, err = b.in.read(p) // the first Window was what the data waited for
	}
	return n, err
}

func (b body) Close() error {
	b.in.mu.Lock()
	defer b.in.mu.Unlock()
	b.in.closed = true
	b.in.data, b.in.held = nil, 0
	return nil
}

// read copies what is there, waiting for something. grant is what to allow
// the host to send now; with it, n may be 0 without an error.
func (in *inbound) read(p []byte) (n, grant int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return 0, 0, http.ErrBodyReadAfterClose
	}
	if len(p) == 0 {
		return 0, 0, nil
	}
	if in.waiting {
		in.waiting = false
		return 0, Window, nil
	}
	if err := in.await(func() bool { return in.held > 0 || in.ended && in.err == nil }); err != nil {
		return 0, 0, io.ErrUnexpectedEOF // as net/http says it, whatever broke
	}
	if in.held == 0 {
		return 0, 0, io.EOF
	}
	for n < len(p) && len(in.data) > 0 {
		c := copy(p[n:], in.data[0])
		n += c
		if in.data[0] = in.data[0][c:]; len(in.data[0]) == 0 {
			in.data[0] = nil
			in.data = in.data[1:]
		}
	}
	in.held -= n
	if in.owed += n; in.owed >= Window/2 && !in.ended {
		grant, in.owed = in.owed, 0
	}
	return n, grant, nil
}
