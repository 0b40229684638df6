package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// gather is how much of an answer is held back to fill a frame. A shorter one
// goes out whole when the handler returns, with its Content-Length.
const gather = 32 << 10

// outbound sends frames of one exchange for as long as its handler runs.
type outbound struct {
	mu     sync.Mutex // one sender at a time
	stream wirepb.Module_ServeServer
	closed bool
}

var errReturned = errors.New("handler has returned")

func (o *outbound) send(m *wirepb.ServeResponse) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return errReturned
	}
	return o.stream.Send(m)
}

func (o *outbound) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// response is the http.ResponseWriter of a handler. It keeps to what net/http
// does with one, and its Flush is acknowledged.
type response struct {
	ctx    context.Context
	logger hclog.Logger
	out    *outbound
	in     *inbound
	isHead bool // the request's method is HEAD

	header http.Header // the handler's

	mu        sync.Mutex // guards what follows; held while sending, in the order of the frames
	status    int        // 0: WriteHeader was not called
	head      http.Header
	announced []string // trailers
	length    int64    // of Content-Length, -1: not given
	written   int64
	buf       []byte
	sent      bool // the head went out
	resume    bool // Resumable went out
	passed    bool // Handover went out
	flushes   uint64
	err       error // sending failed
}

var _ http.Flusher = (*response)(nil)
var _ io.ReaderFrom = (*response)(nil)

func (w *response) Header() http.Header { return w.header }

// WriteHeader panics on a status that is none, as net/http does, and on 101: a
// module has no connection that it could take over.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 || status == http.StatusSwitchingProtocols {
		panic(fmt.Sprintf("wire: invalid status %d", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *response) writeHeader(status int) {
	switch {
	case w.passed:
	case w.status != 0:
		w.logger.Warn("superfluous WriteHeader", "status", status, "first", w.status)
	case status < 200:
		w.sendHead(status, w.header)
	default:
		w.status, w.length = status, -1
		w.head = w.header.Clone()
		if w.head == nil {
			w.head = make(http.Header)
		}
		w.announced = slices.Collect(elements(w.head["Trailer"]))
		if s := w.head.Get("Content-Length"); s != "" {
			if n, err := strconv.ParseUint(s, 10, 63); err == nil {
				w.length = int64(n)
			} else {
				w.logger.Warn("invalid Content-Length", "value", s)
				w.head.Del("Content-Length")
			}
		}
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	switch {
	case w.passed:
		return 0, errors.New("request was handed over")
	case w.err != nil:
		return 0, w.err
	case len(p) == 0:
		return 0, nil
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.length != -1 && w.written > w.length {
		return 0, http.ErrContentLength
	}
	switch {
	case w.isHead: // only what tells the Content-Type
		w.buf = append(w.buf, p[:min(len(p), max(0, 512-len(w.buf)))]...)
	case len(w.buf)+len(p) <= gather:
		w.buf = append(w.buf, p...)
	default:
		w.sendBuffer()
		if len(p) <= gather {
			w.buf = append(w.buf, p...)
		} else {
			w.sendData(p)
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// frames holds buffers of MaxFrame bytes.
var frames = sync.Pool{New: func() any { return new([MaxFrame]byte) }}

// ReadFrom lets io.Copy move a long body in large frames.
func (w *response) ReadFrom(r io.Reader) (total int64, err error) {
	buf := frames.Get().(*[MaxFrame]byte)
	defer frames.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			m, err := w.Write(buf[:n])
			total += int64(m)
			if err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Flush is FlushError for those who don't ask.
func (w *response) Flush() {
	w.FlushError() //nolint:errcheck // http.Flusher has no error
}

// FlushError hands everything so far to the client's connection and returns
// when the host has done it. An error says that the client did not get all of
// it or is gone. [http.ResponseController.Flush] calls it.
func (w *response) FlushError() error {
	w.mu.Lock()
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	w.sendBuffer()
	w.flushes++
	seq := w.flushes
	w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_Flush{Flush: &wirepb.Flush{Seq: seq}}})
	err := w.err
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if err := w.in.awaitFlush(seq); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// EnableFullDuplex is there for [http.ResponseController]: the body can always
// be read while the answer is written.
func (w *response) EnableFullDuplex() error { return nil }

func (w *response) resumable() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.status != 0:
		return errors.New("the answer has begun")
	case w.resume || w.passed:
		return nil
	}
	w.resume = true
	w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_Resumable{Resumable: &wirepb.Resumable{}}})
	return w.err
}

func (w *response) handover() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.status != 0:
		return errors.New("the answer has begun")
	case !w.resume:
		return errors.New("request is not marked resumable")
	case w.passed:
		return nil
	}
	w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_Handover{Handover: &wirepb.Handover{}}})
	w.passed = w.err == nil
	return w.err
}

// finish ends the answer after the handler has returned.
func (w *response) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.passed {
		return
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	trailer := trailersOf(w.header, w.announced)
	_, given := w.head["Content-Length"]
	if !w.sent && !given && bodyAllowed(w.status) && len(w.announced) == 0 && trailer == nil && (!w.isHead || w.written > 0) {
		w.head.Set("Content-Length", strconv.FormatInt(w.written, 10))
	}
	w.sendBuffer()
	w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_End{End: &wirepb.End{Trailer: trailer}}})
}

// fail ends the answer of a handler that gave up: with e if there is one and
// nothing was sent, else by breaking off.
func (w *response) fail(e *Error) {
	w.mu.Lock()
	fresh := e != nil && !w.sent && !w.passed
	switch {
	case w.passed:
	case fresh:
		w.status, w.written, w.buf = 0, 0, nil
		clear(w.header)
	default:
		w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_End{End: &wirepb.End{Aborted: true}}})
	}
	w.mu.Unlock()
	if fresh {
		WriteError(w, e)
		w.finish()
	}
}

// sendBuffer sends the head if it has not been, and what is in buf. The caller
// holds mu and has called writeHeader.
func (w *response) sendBuffer() {
	w.sendData(w.buf)
	w.buf = w.buf[:0]
}

func (w *response) sendData(p []byte) {
	if w.passed {
		return
	}
	if !w.sent {
		w.sent = true
		w.sniff(p)
		w.sendHead(w.status, w.head)
	}
	if w.isHead {
		return
	}
	for chunk := range slices.Chunk(p, MaxFrame) {
		w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_Data{Data: chunk}})
	}
}

// sniff gives the answer a Content-Type under the same conditions as net/http.
// The host's net/http would, but sees nothing of an answer to HEAD.
func (w *response) sniff(p []byte) {
	_, typed := w.head["Content-Type"]
	if !typed && w.head.Get("Content-Encoding") == "" && len(p) > 0 {
		w.head.Set("Content-Type", http.DetectContentType(p))
	}
}

func (w *response) sendHead(status int, h http.Header) {
	w.send(&wirepb.ServeResponse{Frame: &wirepb.ServeResponse_Head{
		Head: &wirepb.ResponseHead{Status: int32(status), Header: headersOf(h)},
	}})
}

// send keeps the first error; after it nothing goes out.
func (w *response) send(m *wirepb.ServeResponse) {
	if w.err != nil {
		return
	}
	if err := w.out.send(m); err != nil {
		if cause := w.ctx.Err(); cause != nil {
			err = cause
		}
		w.err = fmt.Errorf("write answer: %w", err)
	}
}
