package queuehttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/queuehttp"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A stage gives out rooms to those who play in them.
type stage struct{ *queuehttp.Desk }

// NewStage is the constructor that sdk.Serve is given.
func newStage(_ struct{}, env *sdk.Env) (http.Handler, error) {
	desk, err := queuehttp.Open(env, queuehttp.Words{
		Module: "stage", A: "a room", The: "the room", Allow: "GET, HEAD, POST, DELETE, OPTIONS",
		Owner: "band", Member: "band", Header: "X-Stage-",
		Held: "taken", Free: "empty", Released: "left",
		Nobody: "nobody plays there", Lost: "the room is not yours",
		By: func(s queue.Status) string { return fmt.Sprintf("taken by %.200q", s.Value) },
	})
	if err != nil {
		return nil, err
	}
	env.Resumable(http.MethodPost)
	return stage{desk}, nil
}

func (s stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = s.Status(w, r)
	case http.MethodPost:
		err = s.Obtain(w, r, band)
	case http.MethodDelete:
		err = s.Release(w, r, func(p queuehttp.Params) (queue.Target, error) {
			name, err := band(p)
			return queue.Target{Value: name}, err
		})
	default:
		err = s.Other(w, r)
	}
	if err != nil {
		s.Fail(w, r, err)
	}
}

// band reads who asks. Codes from 800 on are the module's own.
func band(p queuehttp.Params) (string, error) {
	name, err := p.Text("band", "the band's name")
	if err == nil && name == "" {
		err = &sdk.Error{Code: 800, Message: "Band is required", Cause: "say who plays: band=NAME", Status: http.StatusBadRequest}
	}
	return name, err
}

// A module that gives out rooms in turn.
func Example() {
	env := &sdk.Env{Store: memory.New(), Logger: hclog.NewNullLogger(), ProcessID: "example"}
	h, err := newStage(struct{}{}, env)
	if err != nil {
		panic(err)
	}
	defer h.(stage).Close(context.Background()) //nolint:errcheck // an example
	ask := func(method, target string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		fmt.Println(method, target, w.Code, w.Header().Get("X-Stage-State"), w.Header().Get("Content-Type"))
	}
	ask("POST", "/cellar?ttl=60&band=Kinks")
	ask("POST", "/cellar?ttl=60&band=Who&timeout=0")
	ask("GET", "/cellar")
	ask("DELETE", "/cellar?band=Kinks")
	ask("GET", "/cellar")
	// Output:
	// POST /cellar?ttl=60&band=Kinks 200 taken text/plain; charset=utf-8
	// POST /cellar?ttl=60&band=Who&timeout=0 423  application/json
	// GET /cellar 200 taken text/plain; charset=utf-8
	// DELETE /cellar?band=Kinks 200  text/plain; charset=utf-8
	// GET /cellar 200 empty text/plain; charset=utf-8
}
