package host

import (
	"slices"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
)

// withLevel adds to changes that the log level goes back to what the files say,
// where an operator has set another.
func (c *control) withLevel(changes []config.Change, level string) []config.Change {
	if c.LogLevel() == level {
		return changes
	}
	return withSetting(changes, "log_level")
}

// withSetting adds to changes that a setting of the host differs, where they
// don't say so.
func withSetting(changes []config.Change, name string) []config.Change {
	if len(changes) == 0 || changes[0].Module != "" {
		return append([]config.Change{{Kind: "changed", Settings: []string{name}}}, changes...)
	}
	if host := &changes[0]; !slices.Contains(host.Settings, name) {
		host.Settings = append(host.Settings, name)
	}
	return changes
}

// plan says for each module what becomes of its process. Beside what the files
// say differently it has the executables that are not those that were started,
// and what operators had switched.
func (c *control) plan(changes []config.Change, before, after []supervisor.Spec) []admin.Change {
	list := []admin.Change{}
	said := map[string]config.Change{}
	for _, ch := range changes {
		if ch.Module == "" {
			list = append(list, admin.Change{Kind: ch.Kind, Settings: ch.Settings})
		}
		said[ch.Module] = ch
	}
	was := map[string]supervisor.Spec{}
	for _, s := range before {
		was[s.Name] = s
	}
	for _, s := range after {
		old, known := was[s.Name]
		delete(was, s.Name)
		ch := admin.Change{Module: s.Name, Kind: "changed", Settings: append([]string{}, said[s.Name].Settings...), Process: admin.Keep}
		if !known {
			ch.Kind = "added"
		}
		if old.Overridden && !slices.Contains(ch.Settings, "enabled") {
			ch.Settings = append(ch.Settings, "enabled") // the operator's switch ends
		}
		st, _, _ := c.plugins.Module(s.Name)
		running, runs := c.plugins.Running(s.Name)
		tried := running
		if !runs && old.Enabled {
			tried = old
		}
		coming, comes := c.plugins.Starting(s.Name)
		if comes {
			tried = coming
		}
		if tried.Path == s.Path && tried.Program != s.Program {
			ch.Settings = append(ch.Settings, "program")
		}
		switch {
		case !s.Enabled && old.Enabled:
			ch.Process = admin.Stop
		case s.Enabled && !runs && !(known && s.Suits(old) && old.Enabled), s.Enabled && st.State == supervisor.Failed && s.Revives(old):
			ch.Process = admin.Start
		case comes && s.Suits(coming): // of an order before, which is not settled yet
		case s.Enabled && runs && !s.Suits(running):
			ch.Process = admin.Replace
		}
		if !known || len(ch.Settings) > 0 || ch.Process != admin.Keep {
			list = append(list, ch)
		}
	}
	for _, s := range before {
		if _, gone := was[s.Name]; gone {
			ch := admin.Change{Module: s.Name, Kind: "removed", Settings: []string{}, Process: admin.Stop}
			if !s.Enabled {
				ch.Process = admin.Keep
			}
			list = append(list, ch)
		}
	}
	return list
}

// failedBefore returns those of list whose process is to be replaced and for
// which nothing is new to the supervisor: its start for them has failed before,
// and what was in its way may be gone.
func (c *control) failedBefore(plan []admin.Change, list []supervisor.Spec) []supervisor.Spec {
	var again []supervisor.Spec
	for _, ch := range plan {
		i := slices.IndexFunc(list, func(s supervisor.Spec) bool { return s.Name == ch.Module })
		if ch.Process != admin.Replace || i < 0 {
			continue
		}
		if _, wanted, ok := c.plugins.Module(ch.Module); ok && wanted.Enabled && list[i].Suits(wanted) {
			again = append(again, list[i])
		}
	}
	return again
}
