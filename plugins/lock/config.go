package main

import (
	"fmt"
	"net/http"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/queuehttp"
	"github.com/etcd-modules/modhost/sdk/queuemetrics"
)

// Config is the module's own config block. It has no settings today, so any
// name in the block is an error.
type Config struct{}

// New makes the module: an http.Handler below the mounts of env, which also
// ends in an orderly way when the host asks it to.
func New(_ Config, env *sdk.Env) (http.Handler, error) {
	metrics := queuemetrics.New(env.Metrics)
	q, err := queue.New(queue.Options{
		Store:    env.Store,
		Session:  env.ProcessID,
		Ended:    env.Ended,
		Logger:   env.Logger,
		Observer: metrics.Observer(),
	})
	if err != nil {
		return nil, fmt.Errorf("start queue: %w", err)
	}
	metrics.Follow(q)
	env.Resumable(http.MethodPost) // made again by the same request it finds its own place
	return module{queuehttp.NewDesk(q, env, words())}, nil
}
