// Package keys is what stands behind the page Keys: an index of etcd's
// directories that is kept true by one watch, and the orders that people give.
//
// A directory is read when it is first asked for, as one level, and after that
// only changed by what the watch tells. A level has the names, the sizes and the
// first bytes of the values, not the values: those are read when one is shown.
//
// What is hidden, a segment that begins with an underscore, is told by no watch
// on what is above it. So there is one index, a realm, for all that is not
// hidden, and one for each hidden directory while it is looked at.
//
// One thing the index can't know: that a directory came into being because of a
// hidden entry in it, of which etcd tells nobody. It appears with the next thing
// that is made in it, or when the directory above it is read again.
//
// On the wire, keys and directories begin with a slash; "/" is the root. Within
// the package they are as in package store.
package keys
