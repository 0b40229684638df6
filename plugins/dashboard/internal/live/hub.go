// Package live sends a browser what changes: one stream of server-sent events
// for all its tabs, with the topics that these show.
//
// The stream is GET …/api/events?topic=A&topic=B. Each event is one line of
// JSON, {"topic": "A", "data": …}: first all of a topic, then changes, as the
// topic defines them. {"topic": "A", "error": {…}} says that A has no news at
// the moment and why; it goes on by itself. The topics hello, sent once at the
// beginning, and pulse, sent every second, are in every stream: without a pulse
// for 1.7 seconds a browser marks what it shows as old, and after 2.5 it opens
// another stream. So it does to change its topics, and when one broke off.
// Nothing is kept for it.
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk"
)

const (
	beat      = time.Second
	retry     = time.Second // after a topic's error
	maxTopics = 200
)

// A Source sends a topic: all of it with the first call of send, changes with
// more, until ctx ends. What it sends is made JSON at once. send fails when the
// stream is over. It may block while the client is slow, so that a
// source which looks at the state after each send skips what is old.
type Source func(ctx context.Context, send func(data any) error) error

// A Hub answers streams. Fields are set before its first use.
type Hub struct {
	// Source returns the source of a topic, or an error for the client.
	Source func(topic string) (Source, error)

	// Hello and Pulse are the data of the topics of that name. The pulse is sent
	// every second, and at once when the channel is closed.
	Hello func(r *http.Request) any
	Pulse func() (any, <-chan struct{})

	// Ending is closed when streams shall end, so that browsers look for
	// somebody else.
	Ending <-chan struct{}

	streams Var[int64] // how many there are, for who works only while there are some
}

// Streams returns how many there are, and a channel that is closed when that
// changes.
func (h *Hub) Streams() (int64, <-chan struct{}) { return h.streams.Get() }

// ServeHTTP answers with a stream.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	names := r.URL.Query()["topic"]
	if len(names) > maxTopics {
		sdk.WriteError(w, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("%d topics are asked for; at most %d are sent", len(names), maxTopics)))
		return
	}
	sources := make(map[string]Source, len(names))
	for _, name := range names {
		source, err := h.Source(name)
		if err != nil {
			source = Never(err)
		}
		sources[name] = source
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // nginx would collect what it should pass on

	h.count(1)
	defer h.count(-1)
	ctx, end := context.WithCancel(r.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	events := make(chan []byte)
	for name, source := range sources {
		running.Go(func() { run(ctx, name, source, events) })
	}
	h.write(ctx, w, r, events)
}

// count notes that there are so many streams more. It does so in one step: one
// ends while another begins whenever a browser changes its topics.
func (h *Hub) count(more int64) { h.streams.Update(func(n int64) int64 { return n + more }) }

// write is the only one that writes to the client.
func (h *Hub) write(ctx context.Context, w http.ResponseWriter, r *http.Request, events <-chan []byte) {
	control := http.NewResponseController(w)
	out := func(text []byte) bool {
		if _, err := w.Write(text); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	var urgent <-chan struct{}
	pulse := func() []byte {
		var data any
		data, urgent = h.Pulse()
		return event("pulse", "data", data)
	}
	if !out(append([]byte("retry: 1000\n"), event("hello", "data", h.Hello(r))...)) || !out(pulse()) {
		return
	}
	for {
		var text []byte
		select {
		case text = <-events:
		case <-ticks.C:
			text = pulse()
		case <-urgent:
			text = pulse()
		case <-h.Ending:
			return
		case <-ctx.Done():
			return
		}
		if !out(text) {
			return
		}
	}
}

// run sends a topic again and again, should its source fail.
func run(ctx context.Context, topic string, source Source, events chan<- []byte) {
	put := func(text []byte) error {
		select {
		case events <- text:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for ctx.Err() == nil {
		err := source(ctx, func(data any) error { return put(event(topic, "data", data)) })
		if err == nil {
			err = errors.New("it has ended")
		}
		if put(event(topic, "error", asError(err))) != nil {
			return
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}

// Never is the source of a topic that only has the reason why there is nothing.
func Never(err error) Source {
	return func(ctx context.Context, send func(any) error) error { return err }
}

// event is one event with its end.
func event(topic, member string, value any) []byte {
	var b bytes.Buffer
	b.WriteString(`data: {"topic":`)
	name, err := json.Marshal(topic)
	if err == nil {
		b.Write(name)
		b.WriteString(`,"` + member + `":`)
		var data []byte
		data, err = json.Marshal(value) // without a line's end in it
		b.Write(data)
	}
	if err != nil { // what we send are structs of ours
		panic(fmt.Sprintf("topic %q: %v", topic, err))
	}
	b.WriteString("}\n\n")
	return b.Bytes()
}

// asError is what a client may read of err.
func asError(err error) *sdk.Error {
	var answer *sdk.Error
	if errors.As(err, &answer) {
		return answer
	}
	return sdk.StoreError(err)
}
