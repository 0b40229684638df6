package supervisor

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// within puts r under l and returns it with what ends the watch over it, or
// says why it may not be served. What exceeds a limit later is a *wire.Error
// too: the cause of the end of r's context, or an error of reading its body.
func (l Limits) within(r *http.Request, inflight int64) (*http.Request, func(), *wire.Error) {
	end := func() {}
	if l.Concurrency > 0 && inflight > int64(l.Concurrency) {
		return nil, nil, wire.NewError(wire.CodeBusy, fmt.Sprintf("more than %d requests at a time, which limits.concurrency of the module allows; try again", l.Concurrency))
	}
	if l.HeaderBytes > 0 && headerSize(r) > l.HeaderBytes {
		e := wire.NewError(wire.CodeTooLarge, fmt.Sprintf("the request line and the headers have more than %d bytes, which limits.header_bytes of the module allows", l.HeaderBytes))
		e.Status = http.StatusRequestHeaderFieldsTooLarge
		return nil, nil, e
	}
	if l.RequestTimeout > 0 {
		late := wire.NewError(wire.CodeTimedOut, fmt.Sprintf("no answer within %s, which limits.request_timeout of the module allows", l.RequestTimeout))
		ctx, cancel := context.WithTimeoutCause(r.Context(), l.RequestTimeout, late)
		r, end = r.WithContext(ctx), cancel
	}
	if l.BodyBytes > 0 && r.ContentLength > l.BodyBytes {
		end()
		return nil, nil, tooLarge(l.BodyBytes)
	}
	if l.BodyBytes > 0 && r.ContentLength < 0 {
		r.Body = &bounded{r.Body, l.BodyBytes, l.BodyBytes}
	}
	return r, end, nil
}

// headerSize is what the head of r takes on the wire as HTTP/1.1, the line's
// end marks left out.
func headerSize(r *http.Request) int64 {
	n := len(r.Method) + len(" ") + len(r.RequestURI) + len(" ") + len(r.Proto) + len("Host: ") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(": ") + len(v)
		}
	}
	return int64(n)
}

func tooLarge(most int64) *wire.Error {
	return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("body of more than %d bytes, which limits.body_bytes of the module allows", most))
}

// bounded is a body of unknown length that may have most bytes.
type bounded struct {
	io.ReadCloser
	most, left int64
}

// Read fails when there is more than allowed.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.most)
	}
	return n, err
}
