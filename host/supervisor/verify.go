package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// verified copies the executable at path into dir and returns the copy's
// path, if its content has that sha256. The bytes that are summed up are those
// that are run: whatever is done to the file at path afterwards, nobody else can
// write into dir, which is a process's private run directory.
func verified(path, sum, dir string) (string, error) {
	from, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%q can't be read: %w; its sha256 can't be compared, look at its permissions", path, err)
	}
	defer from.Close() //nolint:errcheck // only read
	copied := filepath.Join(dir, "program")
	to, err := os.OpenFile(copied, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return "", fmt.Errorf("copy %q to be verified: %w", path, err)
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, hash), from)
	// A file that is open for writing can't be executed.
	if err = errors.Join(err, to.Close()); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return "", fmt.Errorf("copy %q to be verified: %w; free space in %q or set TMPDIR", path, err, filepath.Dir(dir))
		}
		return "", fmt.Errorf("copy %q to be verified: %w", path, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return "", lastingf("%q has sha256 %s, but the config demands %s; if you trust this program set sha256 to the former, else put the right one in its place", path, got, sum)
	}
	return copied, nil
}
