package sdk

import (
	"fmt"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// The privileges that a module's block in the config can grant. The host tells
// a process only what its privileges need, and the SDK hands out no more: the
// fields of [Env] are nil without them. That keeps a module from doing by
// mistake what it was not meant to. It is no wall around a program that is out
// to do harm, which runs as the host's user: don't run such.
const (
	PrivilegeKeys    = "keys"    // Env.Keys, Env.StoreOf
	PrivilegeCluster = "cluster" // Env.Cluster
	PrivilegeModules = "modules" // Env.Modules
)

// A ModuleStatus is what the host's listing says about one module.
type ModuleStatus = wire.ModuleStatus

// A ModuleDetail is all that the host knows about one module.
type ModuleDetail = wire.ModuleDetail

// A ModuleEnd is the end of one process of a module.
type ModuleEnd = wire.ModuleEnd

// A LogLine is one line of a module's log.
type LogLine = wire.LogLine

// Modules lets a module look at all modules of its host and switch them. An
// order that a module gives about itself must not be waited for.
type Modules = wire.HostClient

// grant fills in what the config grants beyond the module's own store, which is
// own. It opens stores by o.
func (e *Env) grant(req *wirepb.ConfigureRequest, own store.Store, o Options) (err error) {
	for _, name := range e.Privileges {
		switch name {
		case PrivilegeKeys:
			if req.GetStore().GetKeysPrefix() != "" && o.OpenKeys != nil {
				var keys store.Tree
				if keys, err = o.OpenKeys(req.GetStore()); err == nil {
					e.Keys = keys
				}
			}
			e.siblings = &siblings{own: req.GetModule(), config: req.GetStore(), open: o.OpenStore}
			e.StoreOf = e.siblings.of
		case PrivilegeCluster:
			e.Cluster, _ = own.(store.Inspector)
		case PrivilegeModules:
			if path := req.GetHostSocket(); path != "" {
				e.Modules = wire.NewHostClient("", wire.DialUnix(path))
			}
		}
		if err != nil {
			return fmt.Errorf("privilege %q: %w", name, err)
		}
	}
	return nil
}
