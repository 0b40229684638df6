package sdk

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// siblings are the stores of other modules of this host, opened when they are
// asked for.
type siblings struct {
	own    string              // name of this module
	config *wirepb.StoreConfig // of its own store
	open   func(*wirepb.StoreConfig) (store.Store, error)

	mu     sync.Mutex // guards what follows
	stores map[string]store.Store
	closed bool
}

var errClosed = errors.New("the module is closed")

// of returns the store of the module of that name.
func (s *siblings) of(module string) (store.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.stores[module]; have != nil {
		return have, nil
	}
	if s.closed {
		return nil, fmt.Errorf("store of module %q: %w", module, errClosed)
	}
	// Each module has the part of etcd that is named after it, below one prefix.
	prefix, ok := strings.CutSuffix(s.config.GetPrefix(), "/"+s.own)
	if !ok {
		return nil, fmt.Errorf("store of module %q: not known, since the own prefix %q does not end in the own name %q", module, s.config.GetPrefix(), s.own)
	}
	if !isModuleName(module) {
		return nil, fmt.Errorf("store of module %.80q: not the name of a module; use a-z, 0-9 and -, a letter first, at most 63", module)
	}
	c := proto.CloneOf(s.config)
	c.Prefix, c.KeysPrefix = prefix+"/"+module, ""
	opened, err := s.open(c)
	if err != nil {
		return nil, fmt.Errorf("store of module %q: %w", module, err)
	}
	if s.stores == nil {
		s.stores = make(map[string]store.Store)
	}
	s.stores[module] = opened
	return opened, nil
}

// close closes them. s may be nil.
func (s *siblings) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, opened := range s.stores {
		err = errors.Join(err, closeStore(opened))
	}
	s.stores, s.closed = nil, true
	return err
}

// isModuleName reports whether the config may have a module of that name.
// Source: module documentation, "Configuration".
func isModuleName(name string) bool {
	if name == "" || len(name) > 63 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
