package etcd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock is the claim of one process on a data folder. The system drops it with
// the process, however that ends. etcd has a lock of its own, on its database
// file, but waits for it without end and without a word.
type lock struct{ file *os.File }

// takeLock claims dir, or says who has it.
func takeLock(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "modhost.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, folderError(dir, err)
	}
	if err := flock(f); err != nil {
		defer f.Close()
		owner := make([]byte, 20)
		n, _ := f.Read(owner)
		return nil, taken(dir, strings.TrimSpace(string(owner[:n])), err)
	}
	if err := databaseFree(dir); err != nil {
		f.Close()
		return nil, err
	}
	f.Truncate(0)
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		f.Close()
		return nil, folderError(dir, err)
	}
	return &lock{f}, nil
}

// databaseFree makes sure that no etcd of its own runs on the data in dir.
func databaseFree(dir string) error {
	db, err := os.OpenFile(filepath.Join(dataDir(dir), "member", "snap", "db"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return folderError(dir, err)
	}
	defer db.Close()
	if err := flock(db); err != nil {
		return taken(dir, "", err)
	}
	return nil
}

// release gives the folder back. The file stays: to remove it would take it
// from under the next owner.
func (l *lock) release() {
	l.file.Truncate(0)
	l.file.Close()
}

// flock takes the exclusive lock of f or returns at once.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// taken says that dir has another owner; pid may be empty.
func taken(dir, pid string, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return folderError(dir, err)
	}
	who := "another process"
	if pid != "" {
		who = "process " + pid
	}
	return &StartError{
		Attribute: "data_dir", Value: dir,
		Why:    "in use by " + who,
		Remedy: "stop that one or set another data_dir",
		Err:    err,
	}
}
