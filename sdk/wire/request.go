package wire

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A Request is one HTTP exchange on the host, maybe over several processes of
// a module one after the other. Its methods are called by the goroutine of
// net/http's handler.
type Request struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	r        *http.Request
	id       string
	mount    string
	received time.Time
	access   *wirepb.Access // nil: the zero Access

	attempt   uint32 // of the next Serve
	resumable bool
	answered  bool
	left      int64       // bytes of the answer to come, by its Content-Length; -1: unknown
	unhook    func() bool // ends the hold that the client's context has on the stream
	broken    error       // why a flush failed
	closing   bool        // keepAlive has set Connection
	upload    *upload
}

// NewRequest wraps an exchange for [Client.Serve]. The plugin is told
// requestID, also as X-Request-Id, the mount that matched and how long ago the
// request was received. Close must be called at the end.
func NewRequest(w http.ResponseWriter, r *http.Request, requestID, mount string, received time.Time) *Request {
	control := http.NewResponseController(w)
	return &Request{
		w: w, control: control, r: r,
		id: requestID, mount: mount, received: received,
		upload: newUpload(r, control),
	}
}

// SetAccess says what the plugin is told of who sends the request. Call it before
// Serve.
func (q *Request) SetAccess(a Access) {
	q.access = nil
	if a != (Access{}) {
		// A name comes from the client, and text on the wire is UTF-8.
		q.access = &wirepb.Access{ReadOnly: a.ReadOnly, User: strings.ToValidUTF8(a.User, "\uFFFD"), SignedIn: a.SignedIn}
	}
}

// Answered reports whether the head of an answer was passed to the client: it
// can't be tried again, and an error can't be told.
func (q *Request) Answered() bool { return q.answered }

// CanResume reports whether the next process may have the request because its
// handler said so.
func (q *Request) CanResume() bool { return q.resumable && q.fresh() }

// CanRetry reports whether the next process may have the request because
// asking twice does no harm: GET and HEAD.
func (q *Request) CanRetry() bool {
	return (q.r.Method == http.MethodGet || q.r.Method == http.MethodHead) && q.fresh()
}

// fresh: nothing was answered, all of the body is still there and the client too.
func (q *Request) fresh() bool {
	return !q.answered && q.upload.replayable() && q.r.Context().Err() == nil
}

// Close ends reading the request's body. Call it when no further Serve comes,
// before the handler returns; it may be called twice.
func (q *Request) Close() { q.upload.stop() }

// failure is the end of Serve: it settles what becomes of the body.
func (q *Request) failure(err error) error {
	if err == nil || !q.fresh() {
		q.Close()
	}
	if err != nil {
		q.keepAlive() // the host's own answer comes next, maybe
	}
	return err
}

// keepAlive sees to it that net/http does not use the client's connection
// again when the answer begins before all of the body was read. In full duplex
// it would take the rest for the next request if a read was broken off.
func (q *Request) keepAlive() {
	if q.r.ProtoMajor != 1 || q.answered {
		return
	}
	unfinished := q.upload.unfinished()
	switch {
	case unfinished && !q.closing && q.w.Header().Get("Connection") == "":
		q.w.Header().Set("Connection", "close")
		q.closing = true
	case !unfinished && q.closing:
		q.w.Header().Del("Connection")
		q.closing = false
	}
}

// head describes the request to the plugin.
func (q *Request) head() *wirepb.RequestHead {
	header := headersOf(q.r.Header)
	header = slices.DeleteFunc(header, func(h *wirepb.Header) bool { return h.Name == "X-Request-Id" })
	header = append(header, newHeader("X-Request-Id", q.id))
	uri := q.r.RequestURI
	if uri == "" { // a request that no server has parsed
		uri = q.r.URL.RequestURI()
	}
	head := &wirepb.RequestHead{
		Method:        q.r.Method,
		Uri:           []byte(uri),
		Proto:         q.r.Proto,
		Host:          q.r.Host,
		Header:        header,
		ContentLength: q.upload.length(),
		RemoteAddr:    q.r.RemoteAddr,
		RequestId:     q.id,
		Mount:         q.mount,
		Tls:           q.r.TLS != nil,
		WaitedNanos:   int64(time.Since(q.received)),
		Attempt:       q.attempt,
		Trailer:       trailerNames(q.r.Trailer),
		Access:        q.access,
	}
	q.attempt++
	return head
}

// trailerNames are the names that the client announces, sorted. net/http does
// not look whether they are any.
func trailerNames(trailer http.Header) []string {
	names := slices.Sorted(maps.Keys(trailer))
	return slices.DeleteFunc(names, func(name string) bool { return !utf8.ValidString(name) })
}

// expectsContinue reports whether the client sends its body only when it is
// asked for: the plugin's first read asks.
func expectsContinue(h http.Header) bool {
	return strings.EqualFold(h.Get("Expect"), "100-continue")
}
