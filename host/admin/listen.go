package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// longestSocket is how long the path of a unix socket may be, in bytes: 103 on
// the BSDs and macOS, 107 on Linux.
const longestSocket = 103

// ListenUnix listens on a unix socket at path that only the user of this
// process can connect to. Its folder is made if need be. A socket that a host
// left behind when it was killed is replaced, one that is listened on is an error.
// Errors read "what: why; remedy".
func ListenUnix(path string) (net.Listener, error) {
	l, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("admin.listen %q: %w", "unix:"+path, err)
	}
	return l, nil
}

func listenUnix(path string) (_ net.Listener, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("no folder for it: %w; choose another path", err)
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	// It is made out of sight and moved to its place when nobody else can use
	// it any more: between bind and chmod it is open to whom the umask allows.
	private, err := os.MkdirTemp(dir, ".a")
	if err != nil {
		return nil, fmt.Errorf("%w; look at the permissions of its folder", err)
	}
	defer os.Remove(private) //nolint:errcheck // empty by then
	made := filepath.Join(private, "s")
	if n := max(len(path), len(made)); n > longestSocket {
		return nil, fmt.Errorf("the path is too long for a socket, by %d bytes; set admin.listen to a shorter one", n-longestSocket)
	}
	l, err := net.Listen("unix", made)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another path", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		l.Close()       //nolint:errcheck // the other error is the one that counts
		os.Remove(made) //nolint:errcheck
		return nil, fmt.Errorf("%w; choose another path", err)
	}
	return &unixListener{l, path}, nil
}

// vacant complains if there is something at path that must not be replaced.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w; choose another path", err)
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file in its place; move that away or choose another path")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil // left behind
	}
	c.Close() //nolint:errcheck // nothing was sent
	return errors.New("another host listens there; stop that one, or give this one another path or data_dir")
}

// unixListener removes its socket when it is closed.
type unixListener struct {
	net.Listener
	path string
}

// Close ends the listener and removes the socket.
func (l *unixListener) Close() error {
	err := l.Listener.Close()
	if !errors.Is(err, net.ErrClosed) { // else it is somebody else's by now
		os.Remove(l.path) //nolint:errcheck // it was moved away
	}
	return err
}
