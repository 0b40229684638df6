// Package etcd runs one etcd member inside the host, and asks any etcd
// whether it is well.
//
// [Start] brings the member up with the v2 API on, serving its clients on one
// TCP address and its (absent) peers on a unix socket, so that it takes one
// port only. What can go wrong for a user's reason (port busy, folder taken,
// not writable or full, data damaged) comes back as a [StartError] or an
// error that says so, with the remedy. etcd itself would wait for ever or end
// the process in some of these cases; see [Server.Failed].
package etcd
