package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// StartError is a reason for not starting that the user mends in the config
// or around it. Its text is complete: "what: why; remedy".
type StartError struct {
	Attribute string // as in the config: data_dir, etcd.embedded.listen
	Value     string
	Why       string
	Remedy    string
	Err       error // the cause; may be nil
}

func (e *StartError) Error() string {
	return fmt.Sprintf("%s %q: %s; %s", e.Attribute, e.Value, e.Why, e.Remedy)
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// explain turns what etcd says at its start into what the user can do.
func explain(err error, o Options) error {
	var known *StartError
	listen := func(why, remedy string) error {
		return &StartError{"etcd.embedded.listen", o.Listen, why, remedy, err}
	}
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.EADDRINUSE):
		return listen("the port is in use by another process",
			"set another port or port 0, or set etcd.endpoints to use the etcd that runs there")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return listen("not an address of this machine", `set one that is, for example "127.0.0.1:2379"`)
	case isListen(err) && errors.Is(err, syscall.EACCES):
		return listen("no permission to listen there", "set a port above 1023")
	case isListen(err):
		return listen(err.Error(), `set another address, for example "127.0.0.1:2379"`)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return folderError(o.Dir, err)
	case errors.Is(err, errFatal):
		return fmt.Errorf("etcd does not start on its data in %q: %w; "+
			"restore that folder from a copy, or move it away to begin with empty data", dataDir(o.Dir), err)
	}
	return fmt.Errorf("start etcd: %w", err)
}

// isListen reports whether the error comes from opening a listener.
func isListen(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "listen"
}

// folderError says why a data folder cannot be used.
func folderError(dir string, err error) error {
	e := &StartError{Attribute: "data_dir", Value: dir, Err: err}
	var path *os.PathError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Why, e.Remedy = "no space left on its disk", "free some or set another data_dir"
	case errors.Is(err, syscall.EROFS):
		e.Why, e.Remedy = "on a read-only file system", "set another data_dir"
	case errors.Is(err, fs.ErrPermission):
		e.Why, e.Remedy = "no permission to write there", "change its owner or mode, or set another data_dir"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		e.Why, e.Remedy = "there is a file in its place", "move that away or set another data_dir"
	case errors.As(err, &path):
		e.Why, e.Remedy = path.Err.Error(), "set another data_dir"
	default:
		e.Why, e.Remedy = err.Error(), "set another data_dir"
	}
	return e
}
