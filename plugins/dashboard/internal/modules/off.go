package modules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// An Off says why something that rests on modules is not there.
type Off struct {
	Module string `json:"module"` // to look at; "" if the host has none of them
	Reason string `json:"reason"` // for people
}

// AllOff returns why none of the modules of these names can serve: each is
// disabled, failed, or not in the config. nil if one can, or will soon.
func AllOff(list []sdk.ModuleStatus, names []string) *Off {
	var off *Off
	for _, name := range names {
		i := slices.IndexFunc(list, func(m sdk.ModuleStatus) bool { return m.Name == name })
		switch {
		case i < 0:
			continue
		case list[i].State != wire.Disabled && list[i].State != wire.Failed:
			return nil
		case off == nil:
			off = &Off{Module: name, Reason: reason(list[i])}
		}
	}
	if off == nil {
		off = &Off{Reason: fmt.Sprintf("the config has no module %s", quoted(names))}
	}
	return off
}

func reason(m sdk.ModuleStatus) string {
	switch {
	case m.State == wire.Failed:
		return fmt.Sprintf("module %q has failed", m.Name)
	case m.Overridden:
		return fmt.Sprintf("module %q is switched off", m.Name)
	}
	return fmt.Sprintf("module %q is disabled in the config", m.Name)
}

// quoted is `"a" or "b"`.
func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(list, " or ")
}
