package life

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"text/tabwriter"
	"time"
)

// benchFolder names the folder for the tables of make bench; without it they are
// only logged.
const benchFolder = "MODHOST_BENCH"

// BenchmarkModules is what a host with many modules takes, on an etcd of its own.
func BenchmarkModules(b *testing.B) {
	var costs []cost
	for b.Loop() {
		costs = nil
		for _, n := range []int{1, 20, 200} {
			costs = append(costs, manyModules(b, n))
		}
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "modules\tall ready\teach\tone reloaded\tall ended\thost, MiB\teach module's process, MiB\t")
	for _, c := range costs {
		fmt.Fprintf(w, "%d\t%v\t%v\t%v\t%v\t%.1f\t%.1f\t\n", c.modules, rounded(c.start), rounded(c.start/time.Duration(c.modules)),
			rounded(c.reload), rounded(c.stop), mebi(c.host), mebi(c.plugin))
	}
	w.Flush() //nolint:errcheck // in memory
	first, last := costs[0], costs[len(costs)-1]
	each := mebi(last.host-first.host) / float64(last.modules-first.modules)
	fmt.Fprintf(&out, "\nA module more takes %.2f MiB of the host and a process. Memory is in RAM, pages that several\nprocesses share are counted in parts.\n", each)
	b.Log("\n" + out.String())
	if dir := os.Getenv(benchFolder); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "modules.txt"), out.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }
