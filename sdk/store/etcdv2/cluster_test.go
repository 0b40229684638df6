package etcdv2_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

// threeMembers answers for the members API of a cluster of three.
func threeMembers(_ int, w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/v2/members" {
		return false
	}
	io.WriteString(w, `{"members": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}`)
	return true
}

func TestStore_ReadsOfSingleMember(t *testing.T) {
	p := &proxy{}
	s, _ := pair(t, p)
	x := ok(s.Create(t.Context(), "x", "one", 0))(t)
	s.Create(t.Context(), "x", "two", 0)
	wantEntry(t, s, x)
	if _, err := s.List(t.Context(), "", store.Linearizable); err != nil {
		t.Fatal(err)
	}
	if p.requests("quorum=false") != 3 || p.requests("quorum=true") != 0 {
		t.Fatalf("requests %q, want no quorum read", p.log)
	}
}

func TestStore_ReadsOfCluster(t *testing.T) {
	for name, members := range map[string]func(int, http.ResponseWriter, *http.Request) bool{
		"three members": threeMembers,
		"unknown": func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/members" {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			return false
		},
	} {
		p := &proxy{before: members}
		s, _ := pair(t, p)
		x := ok(s.Create(t.Context(), "x", "one", 0))(t)
		s.Create(t.Context(), "x", "two", 0) // a plain read that is new enough will do
		wantEntry(t, s, x)
		if _, err := s.Get(t.Context(), "x", store.Local); err != nil {
			t.Fatal(err)
		}
		if p.requests("quorum=false") != 2 || p.requests("quorum=true") != 1 {
			t.Fatalf("%s: requests %q, want one quorum read", name, p.log)
		}
	}
}

func TestStore_MergedReads(t *testing.T) {
	var gate sync.Once
	begun, open := make(chan struct{}), make(chan struct{})
	p := &proxy{before: func(n int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("quorum") == "true" {
			gate.Do(func() {
				close(begun)
				<-open
			})
		}
		return threeMembers(n, w, r)
	}}
	s, beside := pair(t, p)
	ok(beside.Create(t.Context(), "x", "one", 0))(t)
	const n = 50
	var wg sync.WaitGroup
	get := func() {
		if _, err := s.Get(t.Context(), "x", store.Linearizable); err != nil {
			t.Errorf("Get = %v", err)
		}
	}
	wg.Go(get)
	<-begun
	for range n {
		wg.Go(get)
	}
	close(open)
	wg.Wait()
	if sent := p.requests("quorum=true"); sent > n/2 {
		t.Errorf("%d quorum reads were sent for %d", sent, n+1)
	}
}

// A read must not join one that was sent before it began: between the two a
// write may have been answered.
func TestStore_MergedReadsAreLinearizable(t *testing.T) {
	var quorum atomic.Int64
	answered, release := make(chan struct{}), make(chan struct{})
	p := &proxy{before: threeMembers}
	p.after = func(_ int, resp *http.Response) { // etcd has answered: hold the old answer back
		if resp.Request.URL.Query().Get("quorum") == "true" && quorum.Add(1) == 1 {
			close(answered)
			<-release
		}
	}
	s, beside := pair(t, p)
	x := ok(beside.Create(t.Context(), "x", "old", 0))(t)
	var wg sync.WaitGroup
	read := func(want string) {
		if e, err := s.Get(t.Context(), "x", store.Linearizable); err != nil || e.Value != want {
			t.Errorf("Get = %+v, %v, want %q", e, err, want)
		}
	}
	wg.Go(func() { read("old") })
	<-answered
	ok(beside.Swap(t.Context(), x, "new", 0))(t)
	wg.Go(func() { read("new") })
	time.AfterFunc(100*time.Millisecond, func() { close(release) }) // the second read has long begun
	wg.Wait()
}

// setIndex makes an answer look as if it came from an older state.
func setIndex(resp *http.Response, index uint64) {
	resp.Header.Set("X-Etcd-Index", strconv.FormatUint(index, 10))
}

func TestStore_WentBack(t *testing.T) {
	for name, quorumToo := range map[string]bool{"one member lags": false, "all did": true} {
		s, _ := pair(t, &proxy{after: func(_ int, resp *http.Response) {
			if q := resp.Request.URL.Query().Get("quorum"); q == "false" || q == "true" && quorumToo {
				setIndex(resp, 3)
			}
		}})
		ok(s.Create(t.Context(), "x", "one", 0))(t)
		_, getErr := s.Get(t.Context(), "x", store.Linearizable)
		l, listErr := s.List(t.Context(), "", store.Linearizable)
		for _, err := range []error{getErr, listErr} {
			if quorumToo != errors.Is(err, store.ErrUnavailable) || !quorumToo && err != nil {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if !quorumToo && l.Revision <= 3 {
			t.Errorf("%s: List = %+v", name, l)
		}
		if l, err := s.List(t.Context(), "", store.Local); err != nil || l.Revision != 3 {
			t.Errorf("%s: local List = %+v, %v: it must tell its age", name, l, err)
		}
	}
}

// The standing entry is read at the index of the refusal or later.
func TestStore_CreateExistsAtLaggingMember(t *testing.T) {
	p := &proxy{before: threeMembers, after: func(_ int, resp *http.Response) {
		if resp.Request.URL.Query().Get("quorum") == "false" {
			setIndex(resp, 3)
		}
	}}
	s, beside := pair(t, p)
	x := ok(beside.Create(t.Context(), "x", "one", 0))(t)
	if e, err := s.Create(t.Context(), "x", "two", 0); !errors.Is(err, store.ErrExists) || e != x {
		t.Fatalf("Create = %+v, %v, want %+v", e, err, x)
	}
	if p.requests("quorum=true") != 1 {
		t.Fatalf("requests %q, want a quorum read after the plain one", p.log)
	}
}

func TestStore_WrongServer(t *testing.T) {
	dir := t.TempDir()
	if len(dir) > 90 {
		t.Skip("no room for a socket's path")
	}
	e, err := startEtcd(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	noEtcd := startProxy(t, &proxy{before: func(_ int, w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(w, "{}")
		return true
	}})
	noAuth := startProxy(t, &proxy{before: func(_ int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("X-Etcd-Cluster-Id", "1")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errorCode":110,"message":"The request requires user authentication","cause":"Insufficient credentials","index":0}`)
		return true
	}})
	for url, text := range map[string]string{
		"http://" + e.Clients[0].Addr().String(): "--enable-v2",
		noEtcd.url:                               "check the endpoint",
		noAuth.url:                               "check the user",
	} {
		s := open(t, etcdv2.Config{Endpoints: []string{url}})
		_, getErr := s.Get(t.Context(), "x", store.Linearizable)
		_, createErr := s.Create(t.Context(), "x", "", 0)
		_, watchErr := s.Watch("", 5).Next(t.Context())
		for _, err := range []error{getErr, createErr, watchErr} {
			if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), text) {
				t.Errorf("error %v, want %v with %q", err, store.ErrUnavailable, text)
			}
		}
	}
}
