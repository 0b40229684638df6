// Package faults has the tests of what holds while things break: clients,
// plugins, hosts and members of etcd are killed, paused and cut off, and the
// lock must go on to keep its promises. It drives real processes only. See
// README.md.
package faults
