package queuehttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// Fail answers with err: with itself if it is an [sdk.Error], with what an error
// of package queue or store means to a client, else with 500. A request that
// was handed over to the next process is not answered at all. Fail panics, as
// net/http knows it, if the client is gone.
func (d *Desk) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var answer *sdk.Error
	var late *queue.NotObtainedError
	switch {
	case errors.Is(err, queue.ErrHandover):
		if err := sdk.RequestOf(r).Handover(); err == nil {
			return
		}
		answer = sdk.NewError(sdk.CodeDraining, "this process of the "+d.words.Module+" module is being replaced; repeat the request")
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client is gone, there is nobody to answer
	case errors.As(err, &answer):
	case errors.As(err, &late):
		answer = sdk.NewError(sdk.CodeNotObtained, d.words.describe(late, time.Now()))
		answer.Index = uint64(late.Status.Revision)
	case errors.Is(err, queue.ErrNotInLine):
		answer = sdk.NewError(sdk.CodeKeyNotFound, err.Error())
	case errors.Is(err, queue.ErrRemoved):
		answer = sdk.NewError(sdk.CodeEntryRemoved, "the entry was deleted, or ran out, before its grant could be told; "+d.words.Lost)
	case errors.Is(err, queue.ErrDraining):
		answer = sdk.NewError(sdk.CodeDraining, d.env.DrainCause()+"; your place in the line is given up, repeat the request")
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		answer = sdk.NewError(sdk.CodeStoreUnavailable, fmt.Sprintf("nothing can be said of %s: %v; repeat the request", d.words.The, err))
		sdk.LoggerOf(r, d.env.Logger).Warn("store unavailable", "error", err)
	default:
		answer = sdk.NewError(sdk.CodeInternal, "the "+d.words.Module+" module failed; its log says why")
		sdk.LoggerOf(r, d.env.Logger).Error("request failed", "method", r.Method, "error", err)
	}
	sdk.WriteError(w, answer)
}

// describe says what stood in the way.
func (words Words) describe(e *queue.NotObtainedError, now time.Time) string {
	s := e.Status
	text := words.Nobody + " at this moment"
	if !s.Held && e.Position != 1 {
		text += ", but others are first in the line"
	}
	if s.Held {
		text = words.By(s)
		if !s.Since.IsZero() {
			text += fmt.Sprintf(", since %s (%s)", s.Since.UTC().Format(time.RFC3339), max(0, now.Sub(s.Since).Round(time.Second)))
		}
		text += fmt.Sprintf(", %s of its ttl left", roundedUp(s.Remaining))
	}
	if e.Position > 0 {
		return text + fmt.Sprintf("; your place in the line was %d of %d", e.Position, s.Waiting)
	}
	return text + fmt.Sprintf("; your place in the line would have been %d", s.Waiting+1)
}

// roundedUp is d in whole seconds: what is said to be over must be over.
func roundedUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
