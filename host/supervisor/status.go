package supervisor

import "github.com/etcd-modules/modhost/sdk/wire"

// A State is where a module is in its life.
type State = wire.ModuleState

// The states of a module.
const (
	Disabled = wire.Disabled
	Starting = wire.Starting
	Ready    = wire.Ready
	Draining = wire.Draining
	Backoff  = wire.Backoff
	Failed   = wire.Failed
)

// A Status is what the module listing says about one module, at one moment.
type Status = wire.ModuleStatus

// A LogLine is one line that a module has logged or printed, or what the host
// has to say of its life.
type LogLine = wire.LogLine

// An End is that of one process of a module, or of a start that did not succeed.
type End = wire.ModuleEnd
