// Package supervisor keeps one plugin process per enabled module running and
// carries HTTP requests to it.
//
// [New] makes a [Supervisor]; [Supervisor.Apply] tells it which modules are
// wanted, and is the only way to tell it: start, stop and replacement all
// follow from comparing what is wanted with what runs. One goroutine owns the
// life of each module and is the only one that changes its [State]:
//
//	disabled → starting → ready → draining → disabled
//	               ↑        ↓ the process ended by itself
//	               └──── backoff
//
// and failed, from which only a changed [Spec] leads out: a bad config, no
// executable, another protocol, or too many crashes.
//
// [Supervisor.Handler] answers requests through the module's present process.
// Few requests are lost when a process is replaced or dies: new ones wait for
// the next process for two seconds, those that are resumable move on to it, by
// their mark or by what the module says of their method; GET and HEAD that got
// no byte are tried once more. Only another request that a
// process was working on when it died is answered 502, or broken off if its
// answer had begun.
//
// Few processes are started at a time, but for those of modules that have
// crashed: two hundred at once would not come up in time.
//
// A process never outlives the host: it is drained and closed in an orderly
// end, killed with its process group otherwise, and on Linux the kernel kills
// it when the host is killed itself. Its sockets live in a private directory
// that is removed after it; those of hosts that were killed go at the next
// start.
package supervisor
