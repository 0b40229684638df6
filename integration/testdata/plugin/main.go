// Command plugin is the module hello of the scripts: it greets, says in its
// log whom, and has a config to get wrong.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/etcd-modules/modhost/sdk"
)

type config struct {
	Greeting string `hcl:"greeting,optional"`
	Times    int    `hcl:"times,optional"`
	Obstacle string `hcl:"obstacle,optional"` // a file; while it is there, its text is why the module can't start
}

func (c *config) Validate() error {
	var errs []error
	if c.Greeting == "" {
		errs = append(errs, sdk.Invalid("greeting", "is empty; write a word"))
	}
	if c.Times < 1 {
		errs = append(errs, sdk.Invalid("times", "is %d; write 1 or more", c.Times))
	}
	return errors.Join(errs...)
}

func open(cfg config, env *sdk.Env) (http.Handler, error) {
	if cfg.Obstacle != "" {
		if text, err := os.ReadFile(cfg.Obstacle); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, errors.New(strings.TrimSpace(string(text))))
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		env.Logger.Debug("greeted", "path", r.URL.Path)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		fmt.Fprint(w, strings.Repeat(cfg.Greeting, cfg.Times))
	}), nil
}

func main() { sdk.Serve("hello", config{Greeting: "hello", Times: 1}, open) }
