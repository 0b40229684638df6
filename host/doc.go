// Package host is the program as a library: an HTTP server in front of
// modules that run as plugin processes, with their state in etcd.
//
// [New] checks what can be checked and binds the listener; [Host.Run] starts
// etcd (if it is to be embedded), the modules and the server, in this order,
// and stops them in the reverse one. All state is in etcd, so that the host may
// be killed at any moment and lose nothing but the requests in flight.
package host
