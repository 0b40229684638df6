package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
)

// Config is the module's own config block. It has no settings today, so any
// name in the block is an error.
type Config struct{}

// New makes the module: an http.Handler below the mounts of env, which also
// ends in an orderly way when the host asks it to.
func New(_ Config, env *sdk.Env) (http.Handler, error) {
	q, err := queue.New(queue.Options{
		Store:   env.Store,
		Session: env.ProcessID,
		Ended:   env.Ended,
		Logger:  env.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("start queue: %w", err)
	}
	env.Resumable(http.MethodPost) // made again by the same request it finds its own place
	m := &module{queue: q, env: env, log: env.Logger, closed: make(chan struct{}), drained: make(chan struct{})}
	go func() {
		defer close(m.drained)
		select {
		case <-env.Draining():
			q.Drain(env.DrainReason() == sdk.DrainReplace)
		case <-m.closed:
		}
	}()
	return m, nil
}

// Close ends the queue after draining. Grants stay as they are.
func (m *module) Close(ctx context.Context) error {
	close(m.closed)
	<-m.drained
	return m.queue.Close(ctx)
}
