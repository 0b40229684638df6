package supervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// longestLine bounds a line, in bytes; the rest of a longer one is dropped.
const longestLine = 64 << 10

// An output takes what one process prints, line by line, to the host's log
// and to the module's tail. hclog's JSON lines keep their level and their
// fields; a panic's lines are errors; anything else is information. We do
// this ourselves and not in go-plugin: there a line such as {"@message":1}
// is a panic of the host, and plain prints are debug messages that nobody sees.
type output struct {
	logger hclog.Logger
	tail   *tail

	mu       sync.Mutex // guards the rest: stderr and the two synced streams come at once
	headline string
	panicked bool
}

// consume takes lines from r until it ends.
func (o *output) consume(r io.Reader) {
	buf := bufio.NewReaderSize(r, longestLine)
	for {
		line, err := buf.ReadSlice('\n')
		if len(line) > 0 {
			o.line(bytes.TrimRight(line, "\r\n"))
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = buf.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

// Headline returns what the process had to say about its end: the first line
// of a panic, else its last warning, error or plain line. May be empty.
func (o *output) Headline() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.headline
}

func (o *output) line(line []byte) {
	if len(line) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if level, msg, args, ok := parseLog(line); ok {
		o.tail.add(level.String(), rendered(msg, args))
		if !o.panicked && level >= hclog.Warn {
			o.headline = msg
		}
		o.logger.Log(level, msg, args...)
		return
	}
	text := strings.ToValidUTF8(string(line), "\uFFFD")
	if !o.panicked {
		o.headline = text
		o.panicked = strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
	}
	if o.panicked {
		o.tail.add("error", text)
		o.logger.Error("plugin panic", "line", text)
		return
	}
	o.tail.add("info", text)
	o.logger.Info("plugin output", "line", text)
}

// parseLog takes one line of hclog's JSON format apart. args are in the order
// of the keys.
func parseLog(line []byte) (level hclog.Level, msg string, args []any, ok bool) {
	if line[0] != '{' {
		return 0, "", nil, false
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if d.Decode(&fields) != nil {
		return 0, "", nil, false
	}
	msg, ok = fields["@message"].(string)
	if !ok {
		return 0, "", nil, false
	}
	name, _ := fields["@level"].(string)
	if level = hclog.LevelFromString(name); level == hclog.NoLevel || level == hclog.Off {
		level = hclog.Info
	}
	if name, _ := fields["@module"].(string); name != "" {
		args = append(args, "logger", name)
	}
	keys := make([]string, 0, len(fields))
	for key := range fields {
		// The host's own logger says which module it is, not the plugin.
		if !strings.HasPrefix(key, "@") && key != "module" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		args = append(args, key, plain(fields[key]))
	}
	return level, msg, args, true
}

// rendered is a message with its fields on one line.
func rendered(msg string, args []any) string {
	var b strings.Builder
	b.WriteString(msg)
	for i := 0; i+1 < len(args); i += 2 {
		sep := " "
		if i == 0 {
			sep = ": "
		}
		value := fmt.Sprint(args[i+1])
		if value == "" || strings.ContainsAny(value, " \t\n\r\"=") {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, "%s%s=%s", sep, args[i], value)
	}
	return strings.Join(strings.Split(b.String(), "\n"), " ")
}

// plain turns a decoded JSON value into what hclog prints well.
func plain(v any) any {
	switch v := v.(type) {
	case string, bool, nil:
		return v
	case json.Number:
		return v.String()
	}
	text, err := json.Marshal(v)
	if err != nil { // it came from JSON
		return fmt.Sprint(v)
	}
	return string(text)
}

// A lineWriter cuts what is written to it into lines. It is used by one
// goroutine.
type lineWriter struct {
	line func([]byte)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		piece, after, whole := bytes.Cut(p, []byte{'\n'})
		if room := longestLine - len(w.rest); len(piece) > room {
			piece = piece[:room]
		}
		w.rest = append(w.rest, piece...)
		if whole {
			w.line(bytes.TrimRight(w.rest, "\r"))
			w.rest = w.rest[:0]
		}
		p = after
	}
	return n, nil
}
