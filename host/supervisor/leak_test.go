//go:build unix

package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// goroutines counts those that were begun by a test which has labelled itself
// with its name, and by what it has begun: they inherit the label. Those of its
// HTTP connections come and go as net/http likes.
func goroutines(t *testing.T) (n int, all string) {
	t.Helper()
	var out bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&out, 1); err != nil {
		t.Fatal(err)
	}
	label := fmt.Sprintf("%q", t.Name())
	var ours []string
	for group := range strings.SplitSeq(out.String(), "\n\n") {
		head := regexp.MustCompile(`(?m)^(\d+) @`).FindStringSubmatch(group)
		if head == nil || !strings.Contains(group, label) || strings.Contains(group, "net/http.(*") {
			continue
		}
		k, err := strconv.Atoi(head[1])
		if err != nil {
			t.Fatal(err)
		}
		n, ours = n+k, append(ours, group)
	}
	return n, strings.Join(ours, "\n\n")
}

// Whatever becomes of a module's processes, no goroutine stays for one that has
// ended.
func TestProcess_LeavesNoGoroutines(t *testing.T) {
	pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("test", t.Name())))
	h := newHost(t, func(s *Spec) { s.RestartMax = 0 })
	spec := h.spec(func(s *Spec) { s.RestartMax = 0 })
	h.untilState(Ready)
	settle := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if st, ok, err := h.Settle(ctx, "mod"); !ok || err != nil {
			t.Fatalf("Settle = %+v, %t, %v", st, ok, err)
		}
	}
	var before int
	for n := range 6 {
		if n == 1 { // by now all is there that is made once
			before, _ = goroutines(t)
		}
		h.Restart(spec)
		settle()
		pid := h.status().PID
		h.do("GET", "/hello")
		h.Check(t.Context(), []Spec{spec})
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		h.until("another process", func() bool { s := h.status(); return s.State == Ready && s.PID != pid })
		h.Apply([]Spec{{Name: "mod", Mounts: spec.Mounts}})
		settle()
		h.Apply([]Spec{spec})
		settle()
	}
	var last string
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	h.until(fmt.Sprintf("at most %d goroutines", before), func() bool {
		now, which := goroutines(t)
		last = which
		return now <= before
	})
}
