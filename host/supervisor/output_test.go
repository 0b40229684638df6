package supervisor

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func newTestOutput() (*output, *bytes.Buffer) {
	var log bytes.Buffer
	return &output{logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace, DisableTime: true}), tail: &tail{}}, &log
}

func TestOutput_KeepsLevelAndFields(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`{"@level":"warn","@message":"slow","@timestamp":"x","@module":"lock.queue","b":2,"a":"x y","module":"spoof"}`,
			"[WARN]  slow: logger=lock.queue a=\"x y\" b=2\n"},
		{`{"@level":"debug","@message":"m","n":12345678901234567890,"l":["a"],"z":null}`,
			"[DEBUG] m: l=\"[\\\"a\\\"]\" n=12345678901234567890 z=<nil>\n"},
		{`{"@message":1,"@level":2}`, "[INFO]  plugin output: line=\"{\\\"@message\\\":1,\\\"@level\\\":2}\"\n"},
		{`{"@message":"no level"}`, "[INFO]  no level\n"},
		{`just text`, "[INFO]  plugin output: line=\"just text\"\n"},
		{`{broken`, "[INFO]  plugin output: line={broken\n"},
	} {
		o, log := newTestOutput()
		o.consume(strings.NewReader(c.line + "\n"))
		if log.String() != c.want {
			t.Errorf("line %s is logged as %q, want %q", c.line, log, c.want)
		}
	}
}

func TestOutput_PanicIsTheHeadline(t *testing.T) {
	o, log := newTestOutput()
	o.consume(strings.NewReader("before\npanic: oh no\n\ngoroutine 1 [running]:\nmain.main()\n"))
	if got := o.Headline(); got != "panic: oh no" {
		t.Errorf("Headline() = %q", got)
	}
	if n := strings.Count(log.String(), "[ERROR] plugin panic"); n != 3 {
		t.Errorf("%d error lines, want 3:\n%s", n, log)
	}
}

func TestOutput_LongLineIsCutAndTheNextIsWhole(t *testing.T) {
	o, _ := newTestOutput()
	o.consume(strings.NewReader(strings.Repeat("x", 3*longestLine) + "\nnext"))
	w := &lineWriter{line: o.line}
	fmt.Fprintf(w, "%s\nafter\nunfinished", strings.Repeat("y", 3*longestLine))
	lines := o.tail.last()
	if len(lines) != 4 || len(lines[0].Text) != longestLine || lines[1].Text != "next" || len(lines[2].Text) != longestLine || lines[3].Text != "after" {
		t.Errorf("%d lines", len(lines))
	}
}
