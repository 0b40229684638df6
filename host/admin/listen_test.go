//go:build unix

package admin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// short returns a folder whose path leaves room for a socket's.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mustListen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListenUnix_IsForItsOwnerAlone(t *testing.T) {
	old := syscall.Umask(0) // the worst that a user can have set
	defer syscall.Umask(old)
	dir := short(t)
	path := filepath.Join(dir, "run", "s")
	l := mustListen(t, path)
	for name, want := range map[string]os.FileMode{path: os.ModeSocket | 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := l.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left after Close: %v", left)
	}
}

// leave makes a socket that nobody listens on any more, as a host does that is
// killed.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestListenUnix_ReplacesWhatAKilledHostLeft(t *testing.T) {
	path := filepath.Join(short(t), "s")
	leave(t, path)
	mustListen(t, path)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestListenUnix_Complaints(t *testing.T) {
	dir := short(t)
	taken := filepath.Join(dir, "taken")
	mustListen(t, taken)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, strings.Repeat("x", longestSocket))
	for _, c := range []struct{ path, want string }{
		{taken, "another host listens there; stop that one, or give this one another path or data_dir"},
		{file, "there is a file in its place; move that away or choose another path"},
		{link, "there is a file in its place; move that away or choose another path"},
		{dir, "there is a file in its place; move that away or choose another path"},
		{long, fmt.Sprintf("the path is too long for a socket, by %d bytes; set admin.listen to a shorter one", len(long)-longestSocket)},
		{filepath.Join(file, "s"), fmt.Sprintf("no folder for it: mkdir %s: not a directory; choose another path", file)},
	} {
		l, err := ListenUnix(c.path)
		if err == nil {
			l.Close()
			t.Errorf("ListenUnix(%q) succeeded", c.path)
			continue
		}
		if want := fmt.Sprintf("admin.listen %q: %s", "unix:"+c.path, c.want); err.Error() != want {
			t.Errorf("ListenUnix:\n%s, want:\n%s", err, want)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// A listener that was closed does not take its successor's socket away.
func TestListenUnix_ClosedTwice(t *testing.T) {
	path := filepath.Join(short(t), "s")
	first := mustListen(t, path)
	first.Close()
	mustListen(t, path)
	first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the second listener's socket: %v", err)
	}
}
