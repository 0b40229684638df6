// Package etcdv2 is the [store.Store] on etcd's v2 API, which etcd up to 3.5
// serves when it is started with --enable-v2. A revision is the index of that
// API.
//
// What the API makes hard, and what is done about it:
//
//   - A plain read may be old on a cluster. A linearizable read is therefore a
//     quorum read there, one raft entry, shared by the reads that run at the
//     same time; on a single member a plain read is always up to date.
//   - The reply of a write may be lost. It is then read back: values are unique,
//     so what stands there tells whose it is; those that others make are not, and
//     then it stays unknown. Endpoints are tried one by one
//     here and not by client/v2, which repeats a write without a word after an
//     unknown outcome.
//   - Guards compare the index and not the value, because the value would go
//     into the URL, and etcd refuses a request line above 4096 bytes.
//   - A TTL is renewed by an ordinary compare-and-swap: a refresh reaches no
//     watcher. TTLs run on the wall clocks of the members: an entry may end
//     earlier or later by as much as those differ.
//   - A watch is a chain of long polls, because stream=true goes silent for good
//     when it overflows. etcd keeps the last 1000 events over all keys.
//
// Sources: etcd 3.5, server/etcdserver/api/v2http and api/v2store.
package etcdv2

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

// Config says where etcd is and how to speak to it.
type Config struct {
	// Endpoints are the client URLs of the members, "http://host:port" or
	// https; at least one. Which is used first is the order given; after an
	// error the others follow.
	Endpoints []string

	// Prefix is the directory that the store lives in, as "/_mod/lock"; ""
	// is the root. At most 256 bytes.
	Prefix string

	// AnyKey allows keys that others have made, see [store.CheckAnyKey],
	// instead of those that [store.CheckKey] allows, and takes values to be theirs
	// too: not unique, see [store.Tree].
	AnyKey bool

	// Username and Password are for etcd's v2 authentication; "" = none.
	Username, Password string

	// TLS is used for https endpoints. If it is nil it is made of the files
	// below, PEM each: the authority that signed the members' certificates
	// ("" = the system's), and the client's own certificate and key, both or
	// none.
	TLS                       *tls.Config
	CAFile, CertFile, KeyFile string
}

// A Store is a [store.Store], [store.Tree], [store.Pruner] and
// [store.Inspector]. It is safe for concurrent use.
type Store struct {
	prefix    string // "" or "/a/b"
	check     func(key string) error
	unique    bool // values tell who wrote them
	endpoints []*endpoint
	transport *http.Transport
	caller    caller
	clock     clock
	slots     chan struct{} // one for each call under way, long polls apart
	first     atomic.Int64  // the endpoint to ask first
	seen      atomic.Uint64 // highest index that any answer carried
	size      clusterSize
	merged    *merger
	pruned    pruned
	pollTime  time.Duration // maxPoll but in tests
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Pruner = (*Store)(nil)
)

// An endpoint is one member of the cluster, with a client that knows no other.
type endpoint struct {
	url     string // for messages
	base    string // as configured
	keys    client.KeysAPI
	members client.MembersAPI
}

// New returns a Store for c. It checks c but sends nothing: that etcd is away
// or refuses us is told by the calls.
func New(c Config) (*Store, error) {
	if len(c.Prefix) > 256 {
		return nil, errors.New("etcd prefix: longer than 256 bytes")
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	s := &Store{
		prefix:    strings.TrimSuffix(path.Clean("/"+c.Prefix), "/"),
		check:     store.CheckKey,
		unique:    !c.AnyKey,
		transport: newTransport(tlsConfig),
		slots:     make(chan struct{}, maxCalls),
		merged:    newMerger(),
		pollTime:  maxPoll,
	}
	checking := checkingTransport{s.transport, &s.clock}
	s.caller = caller{checking, c.Username, c.Password}
	if c.AnyKey {
		s.check = store.CheckAnyKey
	}
	if len(c.Endpoints) == 0 {
		return nil, errors.New("etcd endpoints: none given; write them as http://host:port")
	}
	for _, ep := range c.Endpoints {
		u, err := url.Parse(ep)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("etcd endpoint %q: not a URL of etcd; write it as http://host:port", ep)
		}
		cl, err := client.New(client.Config{
			Endpoints: []string{ep},
			Transport: checking,
			Username:  c.Username,
			Password:  c.Password,
		})
		if err != nil {
			return nil, fmt.Errorf("etcd endpoint %q: %w", ep, err)
		}
		s.endpoints = append(s.endpoints, &endpoint{u.Host, ep, client.NewKeysAPI(cl), client.NewMembersAPI(cl)})
	}
	return s, nil
}

// Close ends what is left of shared reads and closes the idle connections. No
// call may follow or be running. It never fails.
func (s *Store) Close() error {
	s.merged.close()
	s.transport.CloseIdleConnections()
	return nil
}

func (c Config) tls() (*tls.Config, error) {
	if c.TLS != nil {
		return c.TLS.Clone(), nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("etcd CA file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("etcd CA file %q: no certificate in it; it must be PEM", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("etcd client certificate %q with key %q: %w", c.CertFile, c.KeyFile, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// checkDir is check for a directory; "" is the whole prefix.
func (s *Store) checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	return s.check(dir)
}

// checkEntry is check for an entry that a guarded write is about.
func (s *Store) checkEntry(e store.Entry) error {
	if err := s.check(e.Key); err != nil {
		return err
	}
	return store.CheckRevisions(e)
}

// path returns the full v2 key of key or dir.
func (s *Store) path(key string) string {
	if key == "" && s.prefix != "" {
		return s.prefix
	}
	return s.prefix + "/" + key
}

// entry returns what node is to us; false if it is a directory or not ours.
func (s *Store) entry(n *client.Node, seen reading) (store.Entry, bool) {
	key, ok := strings.CutPrefix(n.Key, s.prefix+"/")
	if !ok || n.Dir {
		return store.Entry{}, false
	}
	e := store.Entry{
		Key:      key,
		Value:    n.Value,
		Created:  store.Revision(n.CreatedIndex),
		Modified: store.Revision(n.ModifiedIndex),
	}
	if n.Expiration != nil {
		// An entry that is overdue, but not yet expired by etcd, has 0 or less,
		// which would read as for ever.
		e.TTL = seconds(max(1, n.TTL))
		e.Expires = s.clock.expires(*n.Expiration, e.TTL, seen)
	}
	return e, true
}

// note remembers an index that etcd has answered with.
func (s *Store) note(index uint64) {
	for {
		old := s.seen.Load()
		if index <= old || s.seen.CompareAndSwap(old, index) {
			return
		}
	}
}

// call is what all methods but Watch have around them: the time limit, and the
// translation of whatever went wrong.
func call(ctx context.Context, op, key string, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return wrap(ctx, op, key, f(limited))
}

// wrap leaves our sentinels as they are and turns the rest into the context's
// error or ErrUnavailable.
func wrap(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrChanged, store.ErrCompacted, store.ErrUnavailable, store.ErrInvalid,
		store.ErrNotEmpty,
	} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s %q: %w", op, key, err)
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s %q: %w", op, key, ctx.Err())
	}
	return fmt.Errorf("%s %q: %w: %w", op, key, store.ErrUnavailable, err)
}
