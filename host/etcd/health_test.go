package etcd

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth_OneGoodMemberIsEnough(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/health":
		case strings.HasPrefix(r.URL.Path, "/v2/keys/"):
			w.Header().Set("X-Etcd-Cluster-Id", "1")
			w.WriteHeader(http.StatusNotFound) // there is no such key
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
	}))
	defer good.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	if err := Health(testContext(t), good.Client(), []string{"http://127.0.0.1:1", hanging.URL, good.URL}); err != nil {
		t.Errorf("Health = %v, want nil", err)
	}
}

func TestHealth_SaysWhyEachFailed(t *testing.T) {
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"health":"false","reason":"RAFT NO LEADER"}`, http.StatusServiceUnavailable)
	}))
	defer sick.Close()
	err := Health(testContext(t), sick.Client(), []string{sick.URL, "http://127.0.0.1:1"})
	if err == nil {
		t.Fatal("Health = nil, want an error")
	}
	for _, want := range []string{
		"etcd " + sick.URL + `: not healthy: {"health":"false","reason":"RAFT NO LEADER"}`,
		"etcd http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Health = %v, want %q in it", err, want)
		}
	}
}

func TestHealth_SaysThatTheV2APIIsOff(t *testing.T) {
	off := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			http.NotFound(w, r)
		}
	}))
	defer off.Close()
	err := Health(testContext(t), off.Client(), []string{off.URL})
	if err == nil || !strings.Contains(err.Error(), "start it with --enable-v2") {
		t.Errorf("Health = %v, want it to name --enable-v2", err)
	}
}

func TestHealth_EndsWithItsContext(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if err := Health(ctx, hanging.Client(), []string{hanging.URL}); err == nil {
		t.Error("Health = nil after its context, want an error")
	}
}
