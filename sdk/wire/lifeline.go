package wire

import (
	"context"
	"sync"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A Lifeline is the host's end of the stream that lives as long as both
// processes. Its methods are safe for concurrent use.
type Lifeline struct {
	stream wirepb.Module_LifelineClient
	cancel context.CancelFunc
	done   chan struct{}

	send sync.Mutex // one sender at a time

	mu    sync.Mutex // guards what follows
	seq   uint64
	pings map[uint64]chan struct{} // closed by the pong
}

// Lifeline opens the lifeline, which lasts until ctx ends, Close is called or
// the plugin is gone. A plugin ends itself when its lifeline does.
func (c *Client) Lifeline(ctx context.Context) (*Lifeline, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.rpc.Lifeline(ctx)
	if err != nil {
		cancel()
		return nil, gone(ctx, err)
	}
	l := &Lifeline{stream: stream, cancel: cancel, done: make(chan struct{}), pings: make(map[uint64]chan struct{})}
	go l.receive() // Close waits for it
	return l, nil
}

func (l *Lifeline) receive() {
	defer close(l.done)
	defer l.cancel()
	for {
		m, err := l.stream.Recv()
		if err != nil {
			return
		}
		l.mu.Lock()
		if pong, ok := l.pings[m.GetPong().GetSeq()]; ok {
			close(pong)
			delete(l.pings, m.GetPong().GetSeq())
		}
		l.mu.Unlock()
	}
}

// Drain tells the plugin to finish what it has in flight. ErrGone if it is
// gone.
func (l *Lifeline) Drain(d Drain) error {
	r := wirepb.Drain_STOP
	if d.Reason == DrainReplace {
		r = wirepb.Drain_REPLACE
	}
	return l.emit(&wirepb.LifelineRequest{Event: &wirepb.LifelineRequest_Drain{
		Drain: &wirepb.Drain{Reason: r, DeadlineNanos: int64(d.Left), Why: d.Why},
	}})
}

// SetLogLevel tells the plugin what to log from now on. ErrGone if it is gone.
func (l *Lifeline) SetLogLevel(level string) error {
	return l.emit(&wirepb.LifelineRequest{Event: &wirepb.LifelineRequest_LogLevel{
		LogLevel: &wirepb.LogLevel{Level: level},
	}})
}

// Ping returns when the plugin has answered, with ErrGone if it is gone and
// with ctx's error if it does not answer.
func (l *Lifeline) Ping(ctx context.Context) error {
	pong := make(chan struct{})
	l.mu.Lock()
	l.seq++
	seq := l.seq
	l.pings[seq] = pong
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pings, seq)
		l.mu.Unlock()
	}()
	err := l.emit(&wirepb.LifelineRequest{Event: &wirepb.LifelineRequest_Ping{Ping: &wirepb.Ping{Seq: seq}}})
	if err != nil {
		return err
	}
	select {
	case <-pong:
		return nil
	case <-l.done:
		return ErrGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Lifeline) emit(m *wirepb.LifelineRequest) error {
	l.send.Lock()
	defer l.send.Unlock()
	if l.stream.Send(m) != nil { // always io.EOF, the reason is with receive
		return ErrGone
	}
	return nil
}

// Done is closed when the plugin is gone or the lifeline was closed.
func (l *Lifeline) Done() <-chan struct{} { return l.done }

// Close ends the lifeline, and with it the plugin. It may be called twice.
func (l *Lifeline) Close() {
	l.cancel()
	<-l.done
}
