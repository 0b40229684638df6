package supervisor

import (
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"google.golang.org/protobuf/proto"
)

// A Spec says how one module shall run. It is not changed after it was given
// to [Supervisor.Apply].
type Spec struct {
	Name       string
	Enabled    bool
	Overridden bool     // an operator has decided over Enabled, the config says otherwise
	Mounts     []string // absolute paths without a trailing slash
	Path       string   // of the executable
	Args       []string // without the program's name
	Env        []string // NAME=value, added to what every plugin is given

	// SHA256 is what the executable has to be, in lower-case hex. Then a
	// private copy of what was summed up is run. "" takes any.
	SHA256 string

	// Program tells one version of the executable from another, see
	// [Fingerprint]; a new one is a reason for a new process.
	Program string

	Config     *wirepb.ConfigBlock
	ConfigSum  string // of what Config says, wherever it stands; see config.Block
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
	HeaderBytes    int64         // of a request's line and headers: 431 above it
	RequestTimeout time.Duration // for one request, waiting included: 503 after it
}

// equal reports whether s and o say the same, but for the place of the config
// in its file.
func (s Spec) equal(o Spec) bool {
	if !proto.Equal(s.Store, o.Store) {
		return false
	}
	s.Config, o.Config, s.Store, o.Store = nil, nil, nil, nil
	return reflect.DeepEqual(s, o)
}

// Suits reports whether a process that was started for o serves s just as
// well: what differs then is the host's own business.
func (s Spec) Suits(o Spec) bool {
	o.Enabled, o.Overridden, o.LogLevel = s.Enabled, s.Overridden, s.LogLevel
	o.RestartMax, o.RestartWindow = s.RestartMax, s.RestartWindow
	o.DrainTimeout, o.Limits = s.DrainTimeout, s.Limits
	return s.equal(o)
}

// Revives reports whether a module that has crashed too often for o has another
// chance with s.
func (s Spec) Revives(o Spec) bool {
	return s.RestartMax != o.RestartMax || s.RestartWindow != o.RestartWindow
}

// Fingerprint returns what tells the file at path from another that is put in
// its place: an executable that was built anew has another one. It reads no
// content.
func Fingerprint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "none"
	}
	return fmt.Sprintf("%s %d %d", fileID(info), info.Size(), info.ModTime().UnixNano())
}
