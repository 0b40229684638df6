package sdk

import (
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// An Env is what a module is given besides its config. The zero value of a
// field means that there is none of it; in the constructor of a running module
// Store, Logger and Metrics are never nil. A module's own tests may build an
// Env.
type Env struct {
	// Store is the module's view of etcd, confined to its own prefix.
	Store store.Store

	// Logger writes to the host's log under the module's name. So does what is
	// printed to os.Stdout and os.Stderr, but what is printed just before the
	// process ends in order may get lost on its way; what is logged is not.
	Logger hclog.Logger

	// Metrics takes what the module counts. The host shows it at /metrics with
	// the label module; names that begin with modhost_ are the host's and the
	// SDK's. The registry is this process's own, and tells about the process,
	// the Go runtime and the calls of Store already. A module that registers
	// through promauto.With(env.Metrics) works with a nil one, too.
	Metrics prometheus.Registerer

	// Name is the label of the module's block in the config.
	Name string

	// Mounts are the URL prefixes under which the module answers: absolute
	// paths without a trailing slash, in the order of the config.
	Mounts []string

	// ProcessID names this process; the host makes it, unique for ever.
	ProcessID string

	// Ended are the ids of earlier processes of this module, all known to be
	// dead, so that what they left in the store can be cleared.
	Ended []string

	// Privileges are those that the config grants: keys, cluster, modules.
	Privileges []string

	// Keys is the whole store of etcd, directories included, with keys as other
	// programs have made them, see [store.CheckAnyKey]. The modules' own keys are
	// hidden from lists and watches of what is above them, if a segment of
	// etcd.prefix in the config begins with an underscore. nil without the
	// privilege keys.
	Keys store.Tree

	// StoreOf returns the store of the module of that name of this host, confined
	// to that module's prefix as Store is to the own: for [queue.NewView], say. Its
	// content is that module's business: write only what its packages write. The
	// same name gets the same store, which is closed with the others. An error
	// means that the name is none, or that the store can't be opened; whether there
	// is such a module is not looked at. Safe for concurrent use; nil without the
	// privilege keys.
	//
	// [queue.NewView]: https://pkg.go.dev/github.com/etcd-modules/modhost/sdk/queue#NewView
	StoreOf func(module string) (store.Store, error)

	// Cluster tells the members of etcd's cluster and how they are; nil without
	// the privilege cluster.
	Cluster store.Inspector

	// Modules looks at and switches all modules of the host; nil without the
	// privilege modules.
	Modules *Modules

	siblings *siblings // of StoreOf; nil without it

	mu        sync.Mutex
	draining  chan struct{} // made when first asked for
	drained   wire.Drain    // Reason is 0 until drain
	resumable []string      // methods
}

// Resumable says that requests of these methods, such as "POST", can be given
// to the next process of the module if this one ends before a byte of the answer
// is out: as [Exchange.Resumable] does for one request, but also for those that
// no handler has seen yet. Call it in the constructor; later it has no effect.
func (e *Env) Resumable(methods ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resumable = append(e.resumable, methods...)
}

func (e *Env) resumableMethods() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.resumable)
}

// A DrainReason says why a module is drained.
type DrainReason = wire.DrainReason

// The reasons for draining, see [Env.DrainReason].
const (
	DrainStop    = wire.DrainStop    // answer what waits at once, with CodeDraining
	DrainReplace = wire.DrainReplace // hand over resumable requests
)

// Draining returns a channel that is closed when the module shall finish what
// it has in flight. Safe for concurrent use.
func (e *Env) Draining() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.channel()
}

// DrainReason says why the module is drained; 0 before it is. A module that is
// being replaced can still be stopped: the reason then changes to DrainStop,
// but Draining is closed once.
func (e *Env) DrainReason() DrainReason {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drained.Reason
}

// DrainCause says for people why the module is drained, such as: module "lock"
// was disabled. It is what clients should be told; empty before.
func (e *Env) DrainCause() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drained.Why
}

// channel makes the channel of Draining. The caller holds mu.
func (e *Env) channel() chan struct{} {
	if e.draining == nil {
		e.draining = make(chan struct{})
	}
	return e.draining
}

func (e *Env) drain(d wire.Drain) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drained.Reason == 0 {
		close(e.channel())
	}
	e.drained = d
}
