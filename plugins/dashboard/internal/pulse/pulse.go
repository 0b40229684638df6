// Package pulse knows whether etcd answers, as long as somebody looks.
package pulse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
)

// That etcd is gone is known within their sum at the latest: less than the two
// seconds after which people must be told.
const (
	every    = 800 * time.Millisecond // from the beginning of one question to that of the next
	patience = time.Second            // with one question
)

// A State says whether etcd answers.
type State struct {
	Why   string    // it does not, for people; "" if it does
	Since time.Time // with Why: when it was last known to answer; else when it began to
}

// A Pulse asks etcd again and again while there are streams. Fields are set
// before Run.
type Pulse struct {
	// Store is asked with a read that only a cluster with a leader can answer.
	// It costs one raft entry on clusters of several members, none on one.
	Store store.Store

	// Streams returns how many browsers look, and a channel that is closed when
	// that changes.
	Streams func() (int64, <-chan struct{})

	state live.Var[State]
}

// State returns what is known, and a channel that is closed when that changes.
func (p *Pulse) State() (State, <-chan struct{}) { return p.state.Get() }

// Run asks until ctx ends.
func (p *Pulse) Run(ctx context.Context) {
	for ctx.Err() == nil {
		streams, changed := p.Streams()
		if streams == 0 {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		p.attend(ctx)
	}
}

// attend asks while there are streams.
func (p *Pulse) attend(ctx context.Context) {
	good := time.Now() // when it was last known to answer: before this nobody has asked
	for ctx.Err() == nil {
		if streams, _ := p.Streams(); streams == 0 {
			return
		}
		began := time.Now()
		why := p.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		old, _ := p.state.Get()
		switch {
		case why == "":
			good = began
			if old.Why != "" || old.Since.IsZero() {
				p.state.Set(State{Since: time.Now()})
			}
		case old.Why == "":
			p.state.Set(State{Why: why, Since: good})
		case old.Why != why:
			p.state.Set(State{Why: why, Since: old.Since})
		}
		select {
		case <-time.After(time.Until(began.Add(every))):
		case <-ctx.Done():
		}
	}
}

// key is never written: that it is not there is an answer.
const key = "pulse"

// ask returns why etcd does not answer, "" if it does.
func (p *Pulse) ask(ctx context.Context) string {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := p.Store.Get(limited, key, store.Linearizable)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return ""
	}
	late := limited.Err() != nil
	// Does a member answer by itself?
	local, cancelLocal := context.WithTimeout(ctx, patience/4)
	defer cancelLocal()
	_, alone := p.Store.Get(local, key, store.Local)
	switch {
	case alone == nil || errors.Is(alone, store.ErrNotFound):
		return "its members have no quorum, so nothing can be written"
	case late:
		return fmt.Sprintf("no answer within %v", patience)
	}
	return plain(err)
}

// plain is the innermost cause: what the outer ones say people know.
func plain(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "dial tcp "); i >= 0 {
		text = strings.TrimPrefix(text[i:], "dial tcp ")
	}
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n", "; "), store.ErrUnavailable.Error()+": ")
}
