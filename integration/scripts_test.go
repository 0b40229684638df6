package integration

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcd-modules/modhost/integration/drive"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts anew")

// TestScripts runs testdata/script: a script per promise, with the real curl
// and the documented address. The host of each script listens on a port of
// its own; a .curlrc leads curl there. See [commands] for what scripts can do
// beside testscript's own commands.
func TestScripts(t *testing.T) {
	t.Parallel()
	// They start programs by the hundred: with the race detector only where
	// there is time (make faults). It looks on in the tests beside them.
	dir := plain(t).Dir
	if os.Getenv("MODHOST_TEST_LONG") != "" {
		dir = programs(t).Dir
	}
	modules(t, dir)
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		RequireUniqueNames: true,
		UpdateScripts:      *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PROGRAMS", dir)
			env.Setenv("ROOT", drive.Root())
			admin, err := freeAddress()
			if err != nil {
				return err
			}
			env.Setenv("ADMIN_ADDRESS", admin)
			env.Setenv("GORACE", drive.RaceOptions)
			s := &stage{dir: env.WorkDir, curls: make(map[string]*running)}
			env.Values[stageKey{}] = s
			env.Defer(func() { s.strike(env.T().(testing.TB)) })
			return sample(env.WorkDir)
		},
		Cmds: commands,
	})
}

// modules builds the modules hello and privileged, which some scripts use beside
// the bundled ones, where the host looks for plugins.
func modules(t *testing.T, dir string) {
	t.Helper()
	for name, folder := range map[string]string{"hello": "plugin", "privileged": "privileged"} {
		args := []string{"build", "-o", filepath.Join(dir, "modhost-"+name)}
		if drive.Race {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, "./testdata/"+folder)...).CombinedOutput(); err != nil {
			t.Fatalf("build the module %s: %v\n%s", name, err, out)
		}
	}
}

// freeAddress is an address for the admin listener of the script's host, where
// port 0 would help nobody. Nothing else here uses this IP address.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.9:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// sample writes the sample config as modhost.hcl, with free ports, unless the
// script has brought its own.
func sample(dir string) error {
	path := filepath.Join(dir, "modhost.hcl")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(drive.Root(), "configs", "modhost.hcl"))
	if err != nil {
		return err
	}
	free := strings.NewReplacer(`"127.0.0.1:4001"`, `"127.0.0.1:0"`, `"127.0.0.1:2379"`, `"127.0.0.1:0"`)
	return os.WriteFile(path, []byte(free.Replace(string(text))), 0o600)
}

// A stage is what one script has running. Scripts are sequential, so is it.
type stage struct {
	dir   string
	host  *running
	curls map[string]*running // in the background
	last  answered
}

type stageKey struct{}

func on(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// strike ends what a script has left running, and sees that all of it ends.
func (s *stage) strike(t testing.TB) {
	for _, c := range s.curls {
		c.end(os.Kill)
	}
	if s.host == nil {
		return
	}
	select {
	case <-s.host.done:
	default:
		if s.host.end(syscall.SIGTERM); s.host.state.ExitCode() != 0 {
			t.Errorf("at the end of the script the host ended with %v", s.host.state)
		}
	}
	if err := s.nobodyLeft(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		log, _ := os.ReadFile(filepath.Join(s.dir, "host.log"))
		t.Logf("log of the script's last host:\n%s", log)
	}
}

// nobodyLeft waits until no process is left that the host has started. They
// have its working directory, as nothing else but curls has.
func (s *stage) nobodyLeft() error {
	return drive.Within(drive.Soon(), func() error {
		cwds, err := filepath.Glob("/proc/[0-9]*/cwd")
		if err != nil {
			return err
		}
		for _, cwd := range cwds {
			pid, _ := strconv.Atoi(strings.Split(cwd, "/")[2])
			if dir, err := os.Readlink(cwd); err != nil || dir != s.dir || s.isCurl(pid) || !drive.Alive(pid) {
				continue
			}
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			return fmt.Errorf("process %d is left behind by the host: %q", pid, command)
		}
		return nil
	})
}

func (s *stage) isCurl(pid int) bool {
	for _, c := range s.curls {
		if c.cmd.Process.Pid == pid {
			return true
		}
	}
	return false
}

// A running process of a script.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer // a curl's; to be read when done is closed
	head           string       // where a curl writes the head of its answer
	begun          time.Time

	done  chan struct{} // closed when it has ended, after what follows was set
	state *os.ProcessState
	took  time.Duration
}

// run starts cmd. Its end is waited for here, once.
func (r *running) run(cmd *exec.Cmd) error {
	r.cmd, r.begun, r.done = cmd, time.Now(), make(chan struct{})
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		cmd.Wait() //nolint:errcheck // the state says all
		r.state, r.took = cmd.ProcessState, time.Since(r.begun)
		close(r.done)
	}()
	return nil
}

// ended waits until the process has ended.
func (r *running) ended() error {
	select {
	case <-r.done:
		return nil
	case <-time.After(drive.Patience):
		return fmt.Errorf("%s has not ended after %v", r.cmd, drive.Patience)
	}
}

// end sends a signal and waits, without end if the last resort does not help.
func (r *running) end(sig os.Signal) {
	r.cmd.Process.Signal(sig) //nolint:errcheck // it may have ended
	if r.ended() != nil {
		r.cmd.Process.Kill() //nolint:errcheck // as above
		<-r.done
	}
}

// environment is what a script has set, for processes that we start.
func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GORACE", "MODHOST_CONFIG", "ADDRESS", "ETCD_ADDRESS", "ADMIN_ADDRESS", "LOCK_PLUGIN", "GREETING"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

var signals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

var listening = regexp.MustCompile(`listening.*?address\W+?((?:[0-9.]+|\[::\]):\d+).*etcd\W+(http[^"\]]+)`)

// launch starts a host and waits until it listens.
func (s *stage) launch(ts *testscript.TestScript, config string) error {
	if s.host != nil {
		select {
		case <-s.host.done:
		default:
			return errors.New("a host is running")
		}
	}
	out, err := os.Create(filepath.Join(s.dir, "host.out"))
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // the process has its own
	logs, err := os.Create(filepath.Join(s.dir, "host.log"))
	if err != nil {
		return err
	}
	defer logs.Close() //nolint:errcheck // the process has its own
	cmd := exec.Command(filepath.Join(ts.Getenv("PROGRAMS"), "modhost"), "serve", "--config", config)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, environment(ts), out, logs
	s.host = new(running)
	if err := s.host.run(cmd); err != nil {
		s.host = nil
		return err
	}
	var found []string
	err = drive.Within(drive.Patience, func() error {
		text, err := os.ReadFile(logs.Name())
		if found = listening.FindStringSubmatch(string(text)); found == nil {
			err = errors.Join(err, fmt.Errorf("the host does not listen: %s", text))
		}
		select {
		case <-s.host.done:
			if found == nil {
				ts.Fatalf("the host ended with %s: %s", ending(s.host.state), text)
			}
		default:
		}
		return err
	})
	if err != nil {
		return err
	}
	found[1] = strings.Replace(found[1], "[::]", "127.0.0.1", 1) // all interfaces
	ts.Setenv("ADDRESS", found[1])
	ts.Setenv("ETCD", found[2])
	ts.Setenv("ETCD_ADDRESS", strings.TrimPrefix(found[2], "http://"))
	rc := fmt.Sprintf("connect-to = \"127.0.0.1:4001:%s\"\nno-progress-meter\n", found[1])
	return os.WriteFile(filepath.Join(s.dir, ".curlrc"), []byte(rc), 0o600)
}

// ready waits until the host says that it is.
func (s *stage) ready(address string) error {
	return drive.Within(drive.Patience, func() error {
		resp, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			return err
		}
		resp.Body.Close() //nolint:errcheck // nothing is read
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
}
