package wire

import (
	"context"
	"errors"
	"time"
)

// An Exchange is what the host tells about a request beside HTTP itself. Its
// methods work on nil, the exchange of a request that came from no host; they
// are safe for concurrent use.
type Exchange struct {
	id       string
	mount    string
	attempt  int
	received time.Time
	access   Access
	answer   *response
}

// Access is what the host knows of who sends a request. The zero value is that
// of a client which need not say who it is and may do everything.
type Access struct {
	ReadOnly string // why nothing may be changed, for people; empty: everything may
	User     string // the name given with the token, or in the client's certificate; may be empty
	SignedIn bool   // by the host's sign-in page
}

type contextKey struct{}

// FromContext returns the exchange that a handler's request context belongs
// to, or nil.
func FromContext(ctx context.Context) *Exchange {
	x, _ := ctx.Value(contextKey{}).(*Exchange)
	return x
}

// RequestID is the request's name, made by the host: unique for ever, and the
// same when the request is given to another process.
func (x *Exchange) RequestID() string {
	if x == nil {
		return ""
	}
	return x.id
}

// Mount is the URL prefix that matched, without a trailing slash.
func (x *Exchange) Mount() string {
	if x == nil {
		return ""
	}
	return x.mount
}

// Attempt is 0 for the first process that gets the request, then counts up.
func (x *Exchange) Attempt() int {
	if x == nil {
		return 0
	}
	return x.attempt
}

// Received is when the host had got the request's head, also if another
// process had it before: now, less what the host says that it has waited.
func (x *Exchange) Received() time.Time {
	if x == nil {
		return time.Time{}
	}
	return x.received
}

// ReadOnly says whether the request may look but not change anything, and why,
// for people: "what: why; remedy". The host refuses other methods than GET, HEAD
// and OPTIONS of such a request by itself; a module should not show what can't be
// done, and must not change anything on GET.
func (x *Exchange) ReadOnly() (why string, yes bool) {
	if x == nil {
		return "", false
	}
	return x.access.ReadOnly, x.access.ReadOnly != ""
}

// User is who sends the request: the common name of the client's certificate, or
// the name that was given together with the token. Anybody who has the token may
// give any name, so it is for people to read and decides nothing. Mostly empty.
func (x *Exchange) User() string {
	if x == nil {
		return ""
	}
	return x.access.User
}

// SignedIn reports whether the client is a browser that has signed in at the
// host's page. A form POST to the module's mount with the field
// modhost_sign_out ends that; the host answers it.
func (x *Exchange) SignedIn() bool { return x != nil && x.access.SignedIn }

// errNoHost is the answer of a nil Exchange.
var errNoHost = errors.New("request came from no host")

// Resumable asks the host to give the request to the next process should this
// one end before the answer began. Call it before writing. It fails when the
// answer has begun or the client is gone; calling it again does nothing.
//
// The host keeps [ReplayLimit] bytes of the body; a request with a longer one
// isn't resumed once more than that was received.
func (x *Exchange) Resumable() error {
	if x == nil {
		return errNoHost
	}
	return x.answer.resumable()
}

// Handover gives the request to the module's next process, in answer to a
// drain with [DrainReplace]. The handler then returns without writing. It
// fails when something was written or the request isn't marked resumable.
func (x *Exchange) Handover() error {
	if x == nil {
		return errNoHost
	}
	return x.answer.handover()
}
