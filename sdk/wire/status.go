package wire

import "time"

// A ModuleState is where a module is in its life.
type ModuleState string

// The states of a module. Source: module documentation, "Routes of the host".
const (
	Disabled ModuleState = "disabled" // switched off, no process
	Starting ModuleState = "starting" // a process is being started and configured
	Ready    ModuleState = "ready"    // a process serves
	Draining ModuleState = "draining" // takes nothing new, finishes what is in flight
	Backoff  ModuleState = "backoff"  // waits before the next start after a crash
	Failed   ModuleState = "failed"   // not started again until its config changes or it is restarted by hand
)

// A ModuleStatus is what the host's listing says about one module, at one
// moment.
type ModuleStatus struct {
	Name       string      `json:"name"`
	State      ModuleState `json:"state"`
	Mounts     []string    `json:"mounts"`   // not nil, in the order of the config
	Version    string      `json:"version"`  // as the plugin says; empty without a process
	PID        int         `json:"pid"`      // 0 without a process
	Restarts   int         `json:"restarts"` // starts after a crash, since the host started
	Since      time.Time   `json:"since"`    // when State was entered
	Reason     string      `json:"reason"`   // of backoff and failed, else mostly empty; for people, may have several lines
	Enabled    bool        `json:"enabled"`
	Overridden bool        `json:"overridden"` // an operator has switched it, the config file says otherwise
}

// A LogLine is one line that a module has logged or printed, or what the host
// has to say of its life.
type LogLine struct {
	Time  time.Time `json:"time"`  // when the host got it
	Level string    `json:"level"` // trace, debug, info, warn or error
	Text  string    `json:"text"`  // the message with its fields, as in the host's log; one line
}
