package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/queuehttp"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A module is the desk at which locks are given out.
type module struct{ *queuehttp.Desk }

// words are what clients of locks read.
func words() queuehttp.Words {
	return queuehttp.Words{
		Module: "lock", A: "a lock", The: "the lock",
		Allow: "GET, HEAD, POST, PUT, DELETE, OPTIONS",
		Owner: "value", Member: "value", Header: "X-Lock-",
		Held: "held", Free: "free", Released: "released",
		Nobody: "nobody holds it", Lost: "you do not hold the lock",
		By: func(s queue.Status) string {
			text := fmt.Sprintf("held by index %d", s.Index)
			if s.Value != "" {
				text += fmt.Sprintf(", value %.200q", s.Value)
			}
			return text
		},
	}
}

// ServeHTTP sorts requests by method.
func (m module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = m.Status(w, r)
	case http.MethodPost: // wait for the lock, or renew it for the value that holds it
		err = m.Obtain(w, r, value)
	case http.MethodPut: // a new TTL for an entry, by index or by value
		err = m.Renew(w, r, target)
	case http.MethodDelete: // of the holder's entry or a waiting one
		err = m.Release(w, r, target)
	default:
		err = m.Other(w, r)
	}
	if err != nil {
		m.Fail(w, r, err)
	}
}

// value reads what identifies the owner; "" is an owner of its own.
func value(p queuehttp.Params) (string, error) { return p.Text("value", "the value") }

// target reads which entry is meant: index or value, and not both. An empty
// one counts as absent.
func target(p queuehttp.Params) (queue.Target, error) {
	index := p.Get("index")
	value, err := value(p)
	switch {
	case err != nil:
		return queue.Target{}, err
	case index == "" && value == "":
		return queue.Target{}, sdk.NewError(sdk.CodeTargetRequired, "say which entry is meant: index=N or value=TEXT")
	case index != "" && value != "":
		return queue.Target{}, sdk.NewError(sdk.CodeTargetAmbiguous, "give index or value, not both")
	case index == "":
		return queue.Target{Value: value}, nil
	}
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil {
		return queue.Target{}, sdk.NewError(sdk.CodeIndexInvalid, fmt.Sprintf("index is %.100q; give the number that the grant was answered with", index))
	}
	if n == 0 { // no entry ever has it
		return queue.Target{}, sdk.NewError(sdk.CodeKeyNotFound, "index 0: no such entry in the line")
	}
	return queue.Target{Index: store.Revision(n)}, nil
}
