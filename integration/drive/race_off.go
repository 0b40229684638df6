//go:build !race

package drive

// Race tells whether the tests, and with them the programs, have the race detector.
const Race = false
