package etcd

import (
	"fmt"
	"os"
	"path/filepath"
)

// longestSocket is a length of path that every system takes for a unix
// socket; Linux ends at 107 bytes, others at 103.
const longestSocket = 100

// makeDirs makes the host's data folder and etcd's in it, and makes sure that
// files can be written there.
func makeDirs(dir string) error {
	// 0700: other users of the machine have no business with the locks.
	if err := os.MkdirAll(dataDir(dir), 0o700); err != nil {
		return folderError(dir, err)
	}
	probe, err := os.CreateTemp(dataDir(dir), ".writable-*")
	if err != nil {
		return folderError(dir, err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// socketPath returns where etcd's peer socket goes: into dir, or, if that is
// too deep for a socket, into a private folder, which it returns as well.
func socketPath(dir string) (path, private string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", "", err
	}
	if path = filepath.Join(dir, "etcd-peer.sock"); len(path) <= longestSocket {
		return path, "", nil
	}
	// The name is that of the supervisor's run directories: it removes those
	// of hosts that were killed.
	private, err = os.MkdirTemp("", fmt.Sprintf("modhost-%d-", os.Getpid()))
	return filepath.Join(private, "etcd-peer.sock"), private, err
}
