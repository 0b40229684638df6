package etcdv2_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v2"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
	"github.com/etcd-modules/modhost/sdk/store/storetest"
)

// endpoint is the etcd that TestMain starts once for all tests.
var endpoint string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "etcdv2")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		e, err := startEtcd(dir, true)
		if err != nil {
			panic(err)
		}
		defer closeEtcd(e)
		endpoint = "http://" + e.Clients[0].Addr().String()
		// Until it has answered once, goroutines of etcd may still read os.Stderr
		// for their logs, which Run sets.
		resp, err := http.Get(endpoint + "/version")
		if err != nil {
			panic(err)
		}
		resp.Body.Close() //nolint:errcheck // not read
		return m.Run()
	}())
}

// closeEtcd ends it. Its Close waits for connections on which nothing was ever
// sent, such as one that a client dialled for a request that it gave up: not for
// long, since the process ends.
func closeEtcd(e *embed.Etcd) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		e.Close()
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
	}
}

// startEtcd starts a single member in dir, peers on a unix socket.
func startEtcd(dir string, v2 bool) (*embed.Etcd, error) {
	// A port of its own: etcd's JSON gateway dials the address as it is given.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	free.Close() //nolint:errcheck // nothing was done with it
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.EnableV2, cfg.LogLevel = "modhost", filepath.Join(dir, "data"), v2, "fatal"
	cfg.UnsafeNoFsync = true
	cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: free.Addr().String()}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: filepath.Join(dir, "peer")}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "modhost-peer:0"}}
	cfg.InitialCluster = "modhost=http://modhost-peer:0"
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err := <-e.Err():
		return nil, err
	case <-time.After(30 * time.Second):
		e.Close()
		return nil, fmt.Errorf("etcd is not ready")
	}
}

var prefixes atomic.Int64

// newPrefix returns one that no other test uses; it begins with "_", as the
// real one does.
func newPrefix() string { return fmt.Sprintf("/_mod/t%d", prefixes.Add(1)) }

func open(t *testing.T, c etcdv2.Config) *etcdv2.Store {
	t.Helper()
	s, err := etcdv2.New(c)
	if err != nil {
		t.Fatalf("New(%+v) = %v", c, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// raw is etcd as somebody else sees it.
func raw(t *testing.T) client.KeysAPI {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	return client.NewKeysAPI(c)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: newPrefix()})
	})
}

// Keys that others have made have what characters they like.
func TestStore_AnyKey(t *testing.T) {
	prefix := newPrefix()
	strict := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: prefix})
	any := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: prefix, AnyKey: true})
	for _, key := range []string{"a_b.c", "ö/%2F ?#&=+:;", "_hidden", "<b>"} {
		if _, err := strict.Put(t.Context(), key, "x", 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Put(%q) = %v, want ErrInvalid", key, err)
		}
		e, err := any.Put(t.Context(), key, "v", 0)
		if err != nil || e.Key != key {
			t.Errorf("Put(%q) = %+v, %v", key, e, err)
		}
		if e, err = any.Get(t.Context(), key, store.Linearizable); err != nil || e.Value != "v" {
			t.Errorf("Get(%q) = %+v, %v", key, e, err)
		}
		if err := any.Delete(t.Context(), e); err != nil {
			t.Errorf("Delete(%q) = %v", key, err)
		}
	}
	for _, key := range []string{"", "/a", "a//b", "a/", ".", "a/../b", "a/.", "\xff", strings.Repeat("x", store.MaxKey+1)} {
		if _, err := any.Put(t.Context(), key, "x", 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Put(%.20q) = %v, want ErrInvalid", key, err)
		}
	}
}

func TestStore_Members(t *testing.T) {
	list, err := open(t, etcdv2.Config{Endpoints: []string{endpoint}}).Members(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("Members = %+v, %v", list, err)
	}
	if m := list[0]; m.Name != "modhost" || !m.Leader || m.ID == "" || len(m.ClientURLs) != 1 || len(m.PeerURLs) != 1 {
		t.Errorf("member %+v", m)
	}
	_, err = open(t, etcdv2.Config{Endpoints: []string{"http://127.0.0.1:1"}}).Members(t.Context())
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Members without etcd = %v, want ErrUnavailable", err)
	}
}
