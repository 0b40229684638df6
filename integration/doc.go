// Package integration holds the tests that drive modhost's built programs as
// users do: real host and plugin processes on a real etcd, over HTTP, with the
// documented curl lines. It holds no code of its own; drive starts the
// programs, history judges what their clients saw.
package integration
