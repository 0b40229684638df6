// Package life tests what users notice of the life of a module: its process is
// replaced, killed, switched off and on, hangs, has two hundred beside it, all under
// load. Like package faults it drives the built programs.
package life
