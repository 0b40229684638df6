package drive

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Metric reads one of etcd's own metrics, summed over its labels.
func Metric(t testing.TB, etcd, name string) float64 {
	t.Helper()
	resp, err := http.Get(etcd + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	sum, found := 0.0, false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		t.Fatalf("etcd has no metric %s", name)
	}
	return sum
}

// clockTicks is USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

// CPU is what a process has used of the processors so far.
func CPU(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// Resident is the memory of a process in RAM, in bytes.
func Resident(t testing.TB, pid int) int64 {
	t.Helper()
	return memoryOf(t, pid, "status", "VmRSS:")
}

// Proportional is Resident, with what several processes share, as those of one
// program do, counted in parts.
func Proportional(t testing.TB, pid int) int64 {
	t.Helper()
	return memoryOf(t, pid, "smaps_rollup", "Pss:")
}

func memoryOf(t testing.TB, pid int, file, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("process %d has no %s", pid, field)
	return 0
}
