package etcd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// asNobody takes root's right to write everywhere from the rest of the test,
// as far as it runs on this thread.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Error(err)
			return // the thread must not serve other tests
		}
		runtime.UnlockOSThread()
	})
}

func TestStart_FolderNotWritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	asNobody(t)
	err := startError(t, Options{Dir: dir, Listen: "127.0.0.1:0"})
	wantStartError(t, err, fmt.Sprintf("data_dir %q: no permission to write there; change its owner or mode, or set another data_dir", dir))
}
