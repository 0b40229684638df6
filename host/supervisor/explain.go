package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A lasting error is one that the next start would meet again: the module
// has failed until its Spec changes.
type lasting struct{ error }

func (e lasting) Unwrap() error { return e.error }

func lastingf(format string, args ...any) error {
	return lasting{fmt.Errorf(format, args...)}
}

// checkExecutable complains about what can be seen without starting it.
func checkExecutable(path string) error {
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lastingf(`no executable %q in %q; run "make build" or set plugin_dir`, name, dir)
	case err != nil:
		return lastingf("no executable %q in %q: %w; set plugin_dir or command", name, dir, err)
	case info.IsDir():
		return lastingf("%q is a directory, not an executable; set command to the program in it", path)
	case !info.Mode().IsRegular(): // reading a pipe may never end
		return lastingf("%q is a device or a pipe, not an executable; set command to a program", path)
	case !runnable(info):
		return lastingf("%q is not executable; run \"chmod +x %s\" or set command", path, path)
	}
	return nil
}

// explainFork says why the operating system did not start the program.
func explainFork(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path is said
	}
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return lastingf("%q is no program for this system: %w; build it for this machine", path, err)
	case errors.Is(err, fs.ErrPermission):
		return lastingf("%q may not be executed: %w; look at its permissions and at the mount options of its file system", path, err)
	case errors.Is(err, fs.ErrNotExist):
		return lastingf("%q can't be started: its interpreter is missing: %w; install it or build the program anew", path, err)
	}
	return fmt.Errorf("start %q: %w", path, err)
}

// explainHandshake says why no plugin answered from a program that has
// started, and has ended since. patience is how long it had; why is what
// go-plugin said.
func explainHandshake(p *program, patience time.Duration, why error) error {
	path, byUs := p.name, p.endedByUs()
	line, whole := p.greet.line()
	parts := strings.Split(line, "|")
	switch {
	case line == "" && !byUs && p.cmd.ProcessState.Success():
		return lastingf("%q is no modhost plugin: it ended at once without a handshake; set command to a program built with the SDK", path)
	case line == "" && !byUs:
		return fmt.Errorf("%q ended before the handshake: %s%s", path, p.exitState(), said(p.output))
	case !whole && byUs:
		return fmt.Errorf("%q gave no handshake within %s%s; set command to a program built with the SDK, or look what it waits for", path, patience, said(p.output))
	case len(parts) < 4:
		return lastingf("%q is no modhost plugin: it printed %s instead of a handshake; set command to a program built with the SDK", path, shortened(line))
	case parts[1] != strconv.Itoa(wire.ProtocolVersion):
		return lastingf("%q speaks protocol version %s, this host speaks %d; build both from the same release", path, parts[1], wire.ProtocolVersion)
	case len(parts) < 5 || parts[4] != "grpc":
		return lastingf("%q is no modhost plugin: it does not speak gRPC; set command to a program built with the SDK", path)
	}
	return fmt.Errorf("handshake with %q: %w", path, why)
}

// said quotes what the program had to say, if anything.
func said(o *output) string {
	if s := o.Headline(); s != "" {
		return "; it said " + shortened(s)
	}
	return ""
}

// shortened quotes text that we did not write.
func shortened(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// explainDiagnostics puts a plugin's errors about its config into one error,
// a line each. nil if there is none among diags.
func explainDiagnostics(diags []*wirepb.Diagnostic) error {
	var lines []string
	for _, d := range diags {
		if d.GetSeverity() == wirepb.Diagnostic_ERROR {
			lines = append(lines, describe(d))
		}
	}
	if lines == nil {
		return nil
	}
	return lastingf("config: %s", strings.Join(lines, "\n"))
}

// describe formats d as file:line:column: summary: detail.
func describe(d *wirepb.Diagnostic) string {
	text := d.GetSummary()
	if d.GetDetail() != "" {
		text += ": " + d.GetDetail()
	}
	if d.GetFilename() == "" {
		return text
	}
	return fmt.Sprintf("%s:%d:%d: %s", d.GetFilename(), d.GetLine(), d.GetColumn(), text)
}
