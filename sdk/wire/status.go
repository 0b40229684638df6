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

// A ModuleDetail is all that is known about one module.
type ModuleDetail struct {
	ModuleStatus
	Command      string        `json:"command"`       // path of the executable
	Args         []string      `json:"args"`          // of the executable; not nil
	SHA256       string        `json:"sha256"`        // that the executable has to have; empty: any
	Privileges   []string      `json:"privileges"`    // not nil
	InFlight     int           `json:"in_flight"`     // requests, waiting ones included
	DrainTimeout string        `json:"drain_timeout"` // as in "10s"
	Limits       ModuleLimits  `json:"limits"`
	Restart      ModuleRestart `json:"restart"`
	Ends         []ModuleEnd   `json:"ends"` // of its processes, the latest 20, oldest first; not nil
}

// ModuleLimits are those of the config, 0 and "0s" where there is none.
type ModuleLimits struct {
	Concurrency    int    `json:"concurrency"`
	BodyBytes      int64  `json:"body_bytes"`
	HeaderBytes    int64  `json:"header_bytes"`
	RequestTimeout string `json:"request_timeout"`
}

// ModuleRestart is when a crashing module counts as failed.
type ModuleRestart struct {
	Max    int    `json:"max"`
	Window string `json:"window"`
}

// A ModuleEnd is the end of one process of a module, or of a start that did not
// succeed.
type ModuleEnd struct {
	Time   time.Time `json:"time"`
	PID    int       `json:"pid"`    // 0: the process did not come up
	Reason string    `json:"reason"` // for people, may have several lines
	Exit   string    `json:"exit"`   // as the operating system says: "exit status 2", "signal: killed"; empty without a pid

	// Ordered: by a switch, a restart or a reload, so that it is no crash.
	Ordered bool `json:"ordered"`
}

// A LogLine is one line that a module has logged or printed, or what the host
// has to say of its life.
type LogLine struct {
	Time  time.Time `json:"time"`  // when the host got it
	Level string    `json:"level"` // trace, debug, info, warn or error
	Text  string    `json:"text"`  // the message with its fields, as in the host's log; one line
}
