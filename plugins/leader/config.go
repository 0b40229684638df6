package main

import (
	"net/http"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queuehttp"
)

// Config is the module's own config block. It has no settings today, so any
// name in the block is an error.
type Config struct{}

// New makes the module: an http.Handler below the mounts of env, which also
// ends in an orderly way when the host asks it to.
func New(_ Config, env *sdk.Env) (http.Handler, error) {
	desk, err := queuehttp.Open(env, words())
	if err != nil {
		return nil, err
	}
	env.Resumable(http.MethodPut) // made again with the same name it finds its own place
	return module{desk}, nil
}
