package host

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
)

func TestHost_OneSlowModuleHidesNoOther(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	synctest.Test(t, func(t *testing.T) {
		var ready []Ready
		h := &Host{
			cfg: &config.Config{Modules: []config.Module{
				{Name: "hangs", Mounts: []string{"/mod/hangs"}},
				{Name: "works", Mounts: []string{"/mod/works"}},
			}},
			listener: l,
			onReady:  func(r []Ready) { ready = r },
		}
		begun := time.Now()
		h.awaitReady(t.Context(), func() []supervisor.Status {
			works := supervisor.Starting
			if time.Since(begun) > time.Second {
				works = supervisor.Ready
			}
			return []supervisor.Status{
				{Name: "hangs", Enabled: true, State: supervisor.Starting},
				{Name: "works", Enabled: true, State: works},
			}
		})
		if took := time.Since(begun); took < readyPatience || took > readyPatience+time.Second {
			t.Errorf("told after %v, want %v", took, readyPatience)
		}
		if want := (Ready{"works", "http://" + l.Addr().String() + "/mod/works"}); len(ready) != 1 || ready[0] != want {
			t.Errorf("told %v, want %v", ready, want)
		}
	})
}
