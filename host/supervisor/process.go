package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

const (
	pingEvery  = 5 * time.Second // how often a process has to show that it lives, and how long it has for it
	missedMost = 3               // pings in a row without an answer, then it is replaced
	verdict    = time.Second     // for a process that a request found broken
	closeTime  = 2 * time.Second // for an orderly end after draining
)

// A process is one run of a module's executable, configured and ready to
// serve, until its end.
type process struct {
	id       string // made by the host, unique for ever
	pid      int
	version  string
	ready    time.Time
	spec     Spec   // what it was started for; set before it is published
	level    string // that it logs at; for the module's goroutine
	client   *wire.Client
	lifeline *wire.Lifeline
	exited   <-chan struct{} // closed when the program has ended
	exit     func() string   // how it ended; after exited only
	said     func() string   // what it had to say then, to be put behind that; likewise
	kill     func()          // ends it now
	release  func()          // ends it if need be and frees what it used; returns when both is done

	done    chan struct{} // closed when it has ended and why is set
	why     error         // why it had to be killed; nil: it ended by itself
	suspect chan struct{} // holds one when watch shall look at once

	mu       sync.Mutex // guards the rest; never held across I/O
	inflight int
	closing  bool
	idle     chan struct{} // closed when closing and nothing is in flight
	doubt    chan struct{} // nil: trusted; else closed when it is again, or has ended
}

// watch starts watching over p, whose other fields are set. The watch ends
// with the process, by closing done.
func (p *process) watch() {
	p.done = make(chan struct{})
	p.suspect = make(chan struct{}, 1)
	p.idle = make(chan struct{})
	go func() {
		defer close(p.done)
		if p.why = p.healthy(); p.why != nil {
			p.kill()
		}
		<-p.exited
		p.lifeline.Close()
		p.trust()
	}()
}

// healthy returns nil when the process has ended, or an error when it is of
// no use any more.
func (p *process) healthy() error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	missed := 0
	for {
		select {
		case <-p.exited:
			return nil
		case <-p.lifeline.Done():
			// Most likely it is just ending: then its own exit state is
			// the better reason.
			return p.endsWithin(verdict, errors.New("closed its lifeline"))
		case <-p.suspect:
			switch err := p.ping(verdict); {
			case errors.Is(err, context.DeadlineExceeded):
				return errors.New("broke off a request and did not answer a ping")
			case err != nil:
				return p.endsWithin(verdict, errors.New("broke off a request and its lifeline"))
			}
			missed = 0
			p.trust()
		case <-tick.C:
			missed++
			if p.ping(pingEvery) == nil {
				missed = 0
			}
			if missed == missedMost {
				return fmt.Errorf("did not answer %d pings in %s", missedMost, missedMost*pingEvery)
			}
		}
	}
}

func (p *process) ping(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return p.lifeline.Ping(ctx)
}

// endsWithin returns nil if the process ends by itself in that time.
func (p *process) endsWithin(limit time.Duration, otherwise error) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.exited:
		return nil
	case <-t.C:
		return otherwise
	}
}

// obituary says why the process is gone. It must be called after done only.
func (p *process) obituary() error {
	if p.why != nil {
		return fmt.Errorf("killed: it %w", p.why)
	}
	return fmt.Errorf("ended: %s%s", p.exit(), p.said())
}

// enter counts a request in. If it may not, wait is closed when that may have
// changed; a nil wait means never again.
func (p *process) enter() (ok bool, wait <-chan struct{}) {
	select {
	case <-p.exited:
		return false, nil
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing:
		return false, nil
	case p.doubt != nil:
		return false, p.doubt
	}
	p.inflight++
	return true, nil
}

// leave undoes enter.
func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inflight--
	if p.closing && p.inflight == 0 {
		close(p.idle)
	}
}

// serve carries q, which was counted in, and counts it out.
func (p *process) serve(q *wire.Request) error {
	defer p.leave()
	return p.client.Serve(q)
}

// distrust lets new requests wait until it is known whether p still lives. A
// connection breaks some milliseconds before the exit is seen, and whatever
// was sent meanwhile would be lost.
func (p *process) distrust() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt != nil {
		return
	}
	p.doubt = make(chan struct{})
	select {
	case p.suspect <- struct{}{}:
	default:
	}
}

// trust ends the doubt.
func (p *process) trust() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt != nil {
		close(p.doubt)
		p.doubt = nil
	}
}

// shut lets no request in any more. It must be called once.
func (p *process) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	if p.inflight == 0 {
		close(p.idle)
	}
}

// stop ends p, which was shut: it tells the process why, lets the requests in
// flight finish for at most d.Left, closes the module and ends the process.
// When ctx ends it is killed at once; so it is when it does not answer a ping, as
// long as those who wait in it can still be answered by us or by the next one.
func (p *process) stop(ctx context.Context, d wire.Drain) {
	defer p.release()
	defer context.AfterFunc(ctx, p.kill)()
	if p.lifeline.Drain(d) == nil {
		t := time.NewTimer(d.Left)
		defer t.Stop()
		hung := make(chan struct{})
		if d.Left >= 2*verdict { // else a ping that is late would say nothing
			go func() {
				if p.ping(min(d.Left/2, pingEvery)) != nil {
					close(hung)
				}
			}()
		}
		select {
		case <-p.idle:
		case <-t.C:
		case <-p.done:
		case <-hung:
			p.kill()
			return
		}
	}
	closing, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	p.client.Close(closing) //nolint:errcheck // it ends in any case
}
