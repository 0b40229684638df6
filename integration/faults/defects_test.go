package faults

import (
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A defect is one of the original modules' that this host and lock must not
// have; story shows that on a running host.
type defect struct {
	name  string // number and what went wrong
	story func(t *testing.T, h *drive.Host)
}

// defects are those of the original modules that concern host and lock.
var defects = []defect{}

func defectNames() []string {
	var names []string
	for _, d := range defects {
		names = append(names, "TestDefects/"+d.name)
	}
	return names
}

// TestDefects shows for each defect of the original modules that it is not
// there. All stories share a host and have locks of their own.
func TestDefects(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.story(t, h)
		})
	}
}

// defectPlants are faults that the defects' tests must see.
var defectPlants = []plant{}
