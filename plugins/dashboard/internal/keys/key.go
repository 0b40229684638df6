package keys

import (
	"fmt"
	"strings"

	"github.com/etcd-modules/modhost/sdk/store"
)

// ParseKey returns the key that is written "/a/b" on the wire; "/" is the root,
// "". store.ErrInvalid says why it is none.
func ParseKey(text string) (string, error) {
	key, ok := strings.CutPrefix(text, "/")
	if !ok {
		return "", fmt.Errorf("key %.80q does not begin with a slash: %w", text, store.ErrInvalid)
	}
	if key == "" {
		return "", nil
	}
	return key, store.CheckAnyKey(key)
}

// cutDir returns what follows dir and a slash in key; false if key is not below
// dir.
func cutDir(key, dir string) (string, bool) {
	if dir == "" {
		return key, key != ""
	}
	return strings.CutPrefix(key, dir+"/")
}

// cutName returns the first segment, and whether there are more.
func cutName(path string) (name string, deeper bool) {
	name, _, deeper = strings.Cut(path, "/")
	return name, deeper
}
