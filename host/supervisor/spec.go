package supervisor

import (
	"reflect"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"google.golang.org/protobuf/proto"
)

// A Spec says how one module shall run. It is not changed after it was given
// to [Supervisor.Apply].
type Spec struct {
	Name    string
	Enabled bool
	Mounts  []string // absolute paths without a trailing slash
	Path    string   // of the executable
	Args    []string // without the program's name
	Env     []string // NAME=value, added to what every plugin is given

	Config     *wirepb.ConfigBlock
	Store      *wirepb.StoreConfig
	Privileges []string
	LogLevel   string // for the plugin: trace, debug, info, warn or error

	// A process that ends by itself is started again at most RestartMax
	// times within RestartWindow, then the module has failed. 0: no limit.
	RestartMax    int
	RestartWindow time.Duration

	// DrainTimeout is how long requests in flight may take to finish when
	// the process is stopped or replaced.
	DrainTimeout time.Duration

	Limits Limits
}

// Limits bound what one module may take from the host. Zero is no limit.
type Limits struct {
	Concurrency    int           // requests at a time, waiting ones included: 429 above it
	BodyBytes      int64         // of a request's body: 413 above it
	RequestTimeout time.Duration // for one request, waiting included: 503 after it
}

// equal reports whether a process started for s serves o just as well.
func (s Spec) equal(o Spec) bool {
	if !proto.Equal(s.Config, o.Config) || !proto.Equal(s.Store, o.Store) {
		return false
	}
	s.Config, o.Config, s.Store, o.Store = nil, nil, nil, nil
	return reflect.DeepEqual(s, o)
}
