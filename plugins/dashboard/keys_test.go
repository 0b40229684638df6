package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/sdktest"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// startKeys starts the dashboard with the privilege keys on a store in memory.
func startKeys(t *testing.T) (*sdktest.Module, *memory.Store) {
	t.Helper()
	db := memory.New(memory.AnyKey())
	m := sdktest.New(t, defaults(), func(cfg Config, env *sdk.Env) (http.Handler, error) {
		env.Keys = db.Sub("")
		return New(cfg, env)
	})
	return m, db
}

func post(m *sdktest.Module, path, body string) sdktest.Reply {
	return m.Send(m.NewRequest("POST", path, strings.NewReader(body), "Content-Type", "application/json"))
}

// Every question and every order has the shape that the page reads.
func TestKeys_Shapes(t *testing.T) {
	m, db := startKeys(t)
	put := func(key, value string) store.Entry {
		t.Helper()
		e, err := db.Put(t.Context(), key, value, 0)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	put("a/b", "1")
	put("a/c", "<b>")
	body := func(r sdktest.Reply) string { return strings.TrimSpace(r.Body) }
	wants := func(r sdktest.Reply, status int, want ...string) {
		t.Helper()
		if r.Status != status {
			t.Errorf("answer %v, want %d", r, status)
		}
		for _, w := range want {
			if !strings.Contains(r.Body, w) {
				t.Errorf("answer %s has no %s", body(r), w)
			}
		}
	}
	wants(m.Do("GET", "/api/keys/page?dir=/a&limit=1&offset=1"), 200, `"dir":"/a","count":2,"of":2,"seq":`, `"offset":1,"found":false,"rows":[{"name":"c","dir":false,"size":3,"preview":"\u003cb\u003e","damaged":false,"expires":0,"created":"2","modified":"2"}]`)
	wants(m.Do("GET", "/api/keys/page?dir=/a&around=b&filter=B"), 200, `"count":1,"of":2`, `"found":true`)
	wants(m.Do("GET", "/api/keys/node?key=/a"), 200, `{"key":"/a","dir":true,"value":"","size":0,"damaged":false,"expires":0,"ttl":0,"created":"1","modified":"1","count":2}`)
	wants(post(m, "/api/keys/create", `{"key":"/n","value":"v","ttl":100}`), 200, `{"node":{"key":"/n","dir":false,"value":"v","size":1,"damaged":false,"expires":`, `"ttl":100,"created":"3","modified":"3","count":0}}`)
	wants(post(m, "/api/keys/save", `{"key":"/n","value":"w","modified":"3","ttl":"keep"}`), 200, `"value":"w"`, `"ttl":100`, `"modified":"4"`)
	wants(post(m, "/api/keys/mkdir", `{"key":"/d/e","ttl":0}`), 200, `{"node":{"key":"/d/e","dir":true`)
	wants(post(m, "/api/keys/delete", `{"key":"/d/e","modified":"5"}`), 200, `{}`)
	wants(post(m, "/api/keys/plan", `{"items":[{"key":"/a","dir":true}]}`), 200, `"entries":2,"dirs":1,"bytes":4,"sample":["/a/b","/a/c"],"more":0,"revision":"6","typed":"/a"}`)
	wants(m.Do("GET", "/api/keys/search?q=B&in=name&dir=/a"), 200, `{"match":{"key":"/a/b","name":"b",`, "\n"+`{"searched":2,"total":`, `"done":true,"matches":1,"more":false}`)
	wants(m.Do("GET", "/api/keys/history?key=/n"), 200, `"since":1`, `"bounded":false,"missed":0,"versions":[`, `"why":"etcd's v2 API`)
	export := m.Do("GET", "/api/keys/export?dir=/a")
	wants(export, 200, `{"format":"modhost-keys-1","dir":"/a","revision":"6","at":`, "\n"+`{"key":"/a","value":"","ttl":0,"dir":true}`+"\n"+`{"key":"/a/b","value":"1","ttl":0}`+"\n", `{"end":true,"entries":2,"dirs":1,"damaged":[]}`)
	if got := export.Header.Get("Content-Disposition"); got != "attachment; filename=a.ndjson" {
		t.Errorf("the export is %q", got)
	}
	wants(post(m, "/api/keys/import/compare", `{"entries":[{"key":"/a/b","value":"2","ttl":0,"dir":false},{"key":"/x","value":"","ttl":0}]}`), 200,
		`{"rows":[{"key":"/a/b","state":"changed","modified":"1"},{"key":"/x","state":"new"}]}`)
	wants(post(m, "/api/keys/import/write", `{"entries":[{"key":"/a/b","value":"2","ttl":0,"dir":false,"modified":"1"},{"key":"/x","value":"","ttl":0,"modified":""}]}`), 200,
		`{"rows":[{"key":"/a/b","state":"written"},{"key":"/x","state":"written"}]}`)
}

func TestKeys_DeletePlan(t *testing.T) {
	m, db := startKeys(t)
	for _, key := range []string{"a/b", "a2"} {
		if _, err := db.Put(t.Context(), key, "1", 0); err != nil {
			t.Fatal(err)
		}
	}
	var plan struct{ Plan string }
	r := post(m, "/api/keys/plan", `{"items":[{"key":"/a","dir":true}]}`)
	if err := json.Unmarshal([]byte(r.Body), &plan); err != nil {
		t.Fatal(err)
	}
	post(m, "/api/keys/delete-plan", `{"plan":"`+plan.Plan+`","typed":"a"}`).Expect(t, 400, "713")
	r = post(m, "/api/keys/delete-plan", `{"plan":"`+plan.Plan+`","typed":"/a"}`)
	if r.Status != 200 || !strings.HasSuffix(r.Body, `{"done":2,"total":2,"end":true,"deleted":2,"absent":0,"failed":[],"moreFailed":0,"stopped":""}`+"\n") {
		t.Errorf("answer %v", r)
	}
	post(m, "/api/keys/delete-plan", `{"plan":"`+plan.Plan+`","typed":"/a"}`).Expect(t, 404, "100")
	if l, err := db.Level(t.Context(), "", store.Local); err != nil || len(l.Nodes) != 1 || l.Nodes[0].Key != "a2" {
		t.Errorf("left: %+v %v", l, err)
	}
}

// A conflict comes with what stands there now, a lost reply with that nobody
// knows.
func TestKeys_ErrorsSayMore(t *testing.T) {
	m, db := startKeys(t)
	if _, err := db.Put(t.Context(), "a", "theirs", 0); err != nil {
		t.Fatal(err)
	}
	more := func(r sdktest.Reply, status, code int) map[string]any {
		t.Helper()
		var e map[string]any
		if err := json.Unmarshal([]byte(r.Body), &e); err != nil || r.Status != status || e["errorCode"] != float64(code) || e["cause"] == "" || e["message"] == "" {
			t.Errorf("answer %v, want %d with code %d", r, status, code)
		}
		return e
	}
	e := more(post(m, "/api/keys/save", `{"key":"/a","value":"mine","modified":"7","ttl":0}`), 409, 725)
	if current, ok := e["current"].(map[string]any); !ok || current["value"] != "theirs" || current["modified"] != "1" {
		t.Errorf("a conflict: %v", e)
	}
	e = more(post(m, "/api/keys/delete", `{"key":"/gone","modified":"7"}`), 409, 725)
	if current, told := e["current"]; !told || current != nil {
		t.Errorf("a conflict with nothing: %v", e)
	}
	for _, order := range []string{``, `[]`, `{"key":"/a","modified":7}`, `{"key":"/a","ttl":"1"}`, `{"key":"/a","ttl":1.5}`, `{"key":"/a","unknown":1}`, `{"key":"a"}`, `{"key":"/a","value":"x","modified":"1"}`} {
		post(m, "/api/keys/save", order).Expect(t, 400, "713")
	}
	for _, query := range []string{"page", "page?dir=/&limit=0", "page?dir=/&limit=1001", "page?dir=/&offset=-1", "page?dir=/a", "node?key=a", "search?q=(&how=regex", "search?q=a&in=size", "export?dir=a"} {
		m.Do("GET", "/api/keys/"+query).Expect(t, 400, "713")
	}
	for _, query := range []string{"page?dir=/none", "node?key=/none", "search?q=a&dir=/none", "export?dir=/none"} {
		m.Do("GET", "/api/keys/"+query).Expect(t, 404, "100")
	}
}

func TestKeys_LostReply(t *testing.T) {
	db := memory.New(memory.AnyKey())
	view := db.Sub("")
	m := sdktest.New(t, defaults(), func(cfg Config, env *sdk.Env) (http.Handler, error) {
		env.Keys = view
		return New(cfg, env)
	})
	view.SetHook(func(op memory.Op, _ string) memory.Fault {
		if op == memory.OpCreate {
			return memory.Fault{Lose: store.ErrUnavailable}
		}
		return memory.Fault{}
	})
	if r := post(m, "/api/keys/create", `{"key":"/a","value":"1","ttl":0}`); r.Status != 503 || !strings.Contains(r.Body, `"errorCode":702`) || !strings.Contains(r.Body, `"outcome":"unknown"`) {
		t.Errorf("answer %v", r)
	}
}

// Without the privilege there is nothing but the reason.
func TestKeys_NoPrivilege(t *testing.T) {
	m := start(t, defaults())
	for _, path := range []string{"page?dir=/", "node?key=/a", "search?q=a", "export?dir=/", "history?key=/a"} {
		r := m.Do("GET", "/api/keys/"+path)
		r.Expect(t, 403, "720")
		if _, cause := r.Failure(t); !strings.Contains(cause, `"keys"`) {
			t.Errorf("cause %q", cause)
		}
	}
	post(m, "/api/keys/create", `{"key":"/a","value":"1","ttl":0}`).Expect(t, 403, "720")
}

// What was changed, and by whom, is in the log; values are not.
func TestKeys_OrdersAreLogged(t *testing.T) {
	var log lockedBuffer
	db := memory.New(memory.AnyKey())
	m := sdktest.New(t, defaults(), func(cfg Config, env *sdk.Env) (http.Handler, error) {
		env.Keys = db.Sub("")
		env.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, JSONFormat: true})
		return New(cfg, env)
	})
	m.SetAccess(sdk.Access{User: "ada"})
	for _, o := range []struct{ path, body, want string }{
		{"create", `{"key":"/a","value":"hush","ttl":0}`, `"@message":"key created"`},
		{"save", `{"key":"/a","value":"hush hush","modified":"1","ttl":"keep"}`, `"@message":"key saved"`},
		{"save", `{"key":"/a","value":"hush","modified":"1","ttl":"keep"}`, ""}, // refused
		{"delete", `{"key":"/a","modified":"2"}`, `"@message":"key deleted"`},
		{"mkdir", `{"key":"/d","ttl":0}`, `"@message":"directory made"`},
		{"import/write", `{"entries":[{"key":"/b","value":"hush","ttl":0,"dir":false,"modified":""}]}`, `"@message":"keys imported"`},
	} {
		before := len(log.String())
		post(m, "/api/keys/"+o.path, o.body)
		said := log.String()[before:]
		if !strings.Contains(said, o.want) || (o.want == "") != (said == "") || o.want != "" && !strings.Contains(said, `"by":"ada"`) || strings.Contains(said, "hush") {
			t.Errorf("%s %s: the log says %q, want %s by ada", o.path, o.body, said, o.want)
		}
	}
}

// A lockedBuffer is written and read by several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
