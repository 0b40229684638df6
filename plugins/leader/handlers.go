package main

import (
	"fmt"
	"net/http"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/queuehttp"
)

// A module is the desk at which candidates stand for election: the line of an
// election has its leader at the head, and an entry for each name.
type module struct{ *queuehttp.Desk }

// words are what candidates and voters read.
func words() queuehttp.Words {
	return queuehttp.Words{
		Module: "leader", A: "an election", The: "the election",
		Allow: "GET, HEAD, PUT, DELETE, OPTIONS",
		Owner: "name", Member: "leader", Header: "X-Leader-",
		Held: "led", Free: "vacant", Released: "withdrawn",
		Nobody: "nobody leads", Lost: "you do not lead",
		By: func(s queue.Status) string { return fmt.Sprintf("led by %.200q, index %d", s.Value, s.Index) },
	}
}

// ServeHTTP sorts requests by method.
func (m module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = m.Status(w, r)
	case http.MethodPut: // wait to lead, or renew it for the name that does
		err = m.Obtain(w, r, candidate)
	case http.MethodDelete: // of the leader or a candidate
		err = m.Release(w, r, target)
	default:
		err = m.Other(w, r)
	}
	if err != nil {
		m.Fail(w, r, err)
	}
}

// candidate reads the name of who stands for election. Unlike an owner of a
// lock nobody can do so without one.
func candidate(p queuehttp.Params) (string, error) {
	name, err := p.Text("name", "the candidate's name")
	if err == nil && name == "" {
		err = sdk.NewError(sdk.CodeNameRequired, "say who the candidate is: name=NAME")
	}
	return name, err
}

func target(p queuehttp.Params) (queue.Target, error) {
	name, err := candidate(p)
	return queue.Target{Value: name}, err
}
