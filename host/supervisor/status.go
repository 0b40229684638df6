package supervisor

import "time"

// A State is where a module is in its life.
type State string

// The states of a module. Source: module documentation, "Routes of the host".
const (
	Disabled State = "disabled" // switched off, no process
	Starting State = "starting" // a process is being started and configured
	Ready    State = "ready"    // a process serves
	Draining State = "draining" // takes nothing new, finishes what is in flight
	Backoff  State = "backoff"  // waits before the next start after a crash
	Failed   State = "failed"   // not started again until its Spec changes or it is restarted by hand
)

// A Status is what the module listing says about one module, at one moment.
type Status struct {
	Name       string    `json:"name"`
	State      State     `json:"state"`
	Mounts     []string  `json:"mounts"`   // not nil, in the order of the config
	Version    string    `json:"version"`  // as the plugin says; empty without a process
	PID        int       `json:"pid"`      // 0 without a process
	Restarts   int       `json:"restarts"` // starts after a crash, since the host started
	Since      time.Time `json:"since"`    // when State was entered
	Reason     string    `json:"reason"`   // of backoff and failed, else mostly empty; for people, may have several lines
	Enabled    bool      `json:"enabled"`
	Overridden bool      `json:"overridden"` // an operator has switched it, the config file says otherwise
}
