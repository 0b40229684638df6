// Package store is modhost's view of etcd: entries with a TTL, revisions,
// conditional writes and watches, below one prefix that a module can't leave.
//
// The interface [Store] is what the queue and a module's own code use. Its
// drivers live in folders beside this one: etcdv2 speaks etcd's v2 API through
// go.etcd.io/etcd/client/v2, memory keeps everything in the process for tests
// and runs on the fake clock of testing/synctest. Package storetest holds the
// conformance suite that every driver passes, package metered counts and times
// the calls of any of them.
//
// Some drivers can do more: [Tree] knows directories as things of their own and
// takes the keys of other programs, [Inspector] asks etcd's members how they are,
// [Pruner] removes what entries leave behind.
//
// Two ideas carry the rest. First, an entry's Created revision names one
// creation for ever: it never changes while the entry lives and is never used
// again, so it can serve as fencing token. Second, every write that matters is
// conditional on the revision that the writer has seen, so a writer that was
// paused or cut off fails instead of overwriting what happened meanwhile.
package store
