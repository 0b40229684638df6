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
		return nil, nil, wire.NewError(wire.CodeBusy, fmt.Sprintf("more than %d requests at a time", l.Concurrency))
	}
	if l.RequestTimeout > 0 {
		late := wire.NewError(wire.CodeTimedOut, fmt.Sprintf("no answer within %s", l.RequestTimeout))
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

func tooLarge(most int64) *wire.Error {
	return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("body of more than %d bytes", most))
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
