package life

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A cost is what a host with many modules takes.
type cost struct {
	modules             int
	start, reload, stop time.Duration // until all are ready; of one of them; until all have ended
	host, plugin        int64         // bytes in RAM: of the host, of one module's process
}

// manyModules starts a host with n modules of one program, looks what that takes,
// reloads one of them and stops. Each must have served, and only one be touched.
func manyModules(t testing.TB, n int) (c cost) {
	t.Helper()
	p := plain.programs(t)
	etcd := p.StartCluster(t, 1).Members[0].URL
	kinds := make([]kind, n)
	blocks := make([]string, n)
	for i := range kinds {
		kinds[i] = lock
		kinds[i].name = fmt.Sprint("module", i)
		blocks[i] = kinds[i].block()
	}
	c.modules = n
	timed := func(took *time.Duration, do func()) {
		began := time.Now()
		do()
		*took = time.Since(began)
	}
	var h *drive.Host
	timed(&c.start, func() { h = p.Start(t, config(etcd, blocks...)) })
	before := make(map[string]int)
	for _, m := range h.Modules() {
		if m.State != "ready" || m.Restarts > 0 {
			t.Errorf("%+v, want it ready at the first try", m)
		}
		before[m.Name] = m.PID
	}
	for _, k := range kinds {
		drive.LockAt(t, h.URL+k.path("a")).Must(http.MethodPost, "ttl", 60, "timeout", 0)
	}
	c.host = drive.Proportional(t, h.PID())
	for _, pid := range before {
		c.plugin += drive.Proportional(t, pid) / int64(n)
	}
	stock := takeStock(t, h)

	one := n / 2
	blocks[one] = kinds[one].block("changed")
	h.Configure(config(etcd, blocks...))
	timed(&c.reload, func() {
		if got := h.Reload(); len(got) != 1 || got[0].Module != kinds[one].name || got[0].State != "ready" {
			t.Errorf("reload = %+v, want module %s replaced", got, kinds[one].name)
		}
	})
	for _, m := range h.Modules() {
		if touched := m.PID != before[m.Name]; touched != (m.Name == kinds[one].name) || m.State != "ready" {
			t.Errorf("after the reload of %s: %+v, was in process %d", kinds[one].name, m, before[m.Name])
		}
	}
	stock.nothingLeft()
	timed(&c.stop, stock.nothingAfter)
	return c
}

// A host has many modules, each in a process of its own.
func TestLife_ManyModules(t *testing.T) {
	c := manyModules(t, inLongRun(20, 200))
	t.Logf("%+v", c)
}
