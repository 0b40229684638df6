package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A keyBrowser asks the dashboard about etcd's keys as its page does, and etcd
// itself as other programs do.
type keyBrowser struct {
	t    *testing.T
	api  string // of the dashboard
	etcd string
	http *http.Client
}

func browseKeys(t *testing.T, h *drive.Host) *keyBrowser {
	return &keyBrowser{t, h.URL + "/mod/dashboard/api/", h.Etcd + "/v2/keys", drive.NewHTTPClient(t)}
}

type keyRow struct {
	Name, Preview     string
	Dir, Damaged      bool
	Size              int
	Expires           int64
	Created, Modified string
}

type keyNode struct {
	Key, Value        string
	Dir, Damaged      bool
	Expires, TTL      int64
	Created, Modified string
	Count             int
}

type keyPage struct {
	Count, Of, Offset int
	Seq               uint64
	Found             bool
	Rows              []keyRow
}

// do sends a request and returns the status, with the answer in into unless that
// is nil.
func (b *keyBrowser) do(method, address, kind string, body io.Reader, into any) (int, error) {
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		return 0, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(resp.Body)
	if err != nil || into == nil {
		return resp.StatusCode, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return resp.StatusCode, fmt.Errorf("%s %s: %w in %.300s", method, address, err, text)
	}
	return resp.StatusCode, nil
}

func (b *keyBrowser) get(path string, query url.Values, into any) int {
	b.t.Helper()
	status, err := b.do("GET", b.api+"keys/"+path+"?"+query.Encode(), "", nil, into)
	if err != nil {
		b.t.Fatal(err)
	}
	return status
}

func (b *keyBrowser) tryPost(path string, order, into any) (int, error) {
	body, err := json.Marshal(order)
	if err != nil {
		return 0, err
	}
	return b.do("POST", b.api+"keys/"+path, "application/json", bytes.NewReader(body), into)
}

func (b *keyBrowser) post(path string, order, into any) int {
	b.t.Helper()
	status, err := b.tryPost(path, order, into)
	if err != nil {
		b.t.Fatal(err)
	}
	return status
}

func (b *keyBrowser) page(dir string, more ...string) (keyPage, int) {
	b.t.Helper()
	q := url.Values{"dir": {dir}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	var p keyPage
	status := b.get("page", q, &p)
	return p, status
}

func (b *keyBrowser) node(key string) (keyNode, int) {
	b.t.Helper()
	var n keyNode
	status := b.get("node", url.Values{"key": {key}}, &n)
	return n, status
}

// etcdURL is that of a key in etcd's own API.
func (b *keyBrowser) etcdURL(key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return b.etcd + strings.Join(segments, "/")
}

// put writes to etcd as another program does.
func (b *keyBrowser) put(key, value string, more ...string) error {
	form := url.Values{"value": {value}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	status, err := b.do("PUT", b.etcdURL(key), "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("etcd: PUT %s: %d", key, status)
	}
	return err
}

func (b *keyBrowser) mustPut(key, value string, more ...string) {
	b.t.Helper()
	if err := b.put(key, value, more...); err != nil {
		b.t.Fatal(err)
	}
}

// fill puts n keys below dir, many at a time.
func (b *keyBrowser) fill(dir string, n int, value string) {
	b.t.Helper()
	var running sync.WaitGroup
	var next atomic.Int64
	var failed atomic.Value
	for range 64 {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && failed.Load() == nil; i = next.Add(1) - 1 {
				if err := b.put(fmt.Sprintf("%s/key-%06d", dir, i), value); err != nil {
					failed.Store(err)
				}
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		b.t.Fatal(err)
	}
}

// A keyTopic is a topic of the dashboard's stream, read by one who is slower
// than nobody.
type keyTopic struct {
	mu     sync.Mutex // guards what follows
	events []json.RawMessage
	errs   int
}

// follow reads a topic until the test ends; when the stream breaks off it opens
// another one.
func (b *keyBrowser) follow(topic string) *keyTopic {
	k := &keyTopic{}
	var running sync.WaitGroup
	running.Go(func() {
		for b.t.Context().Err() == nil {
			b.stream(topic, k)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-b.t.Context().Done():
			}
		}
	})
	b.t.Cleanup(running.Wait)
	return k
}

func (b *keyBrowser) stream(topic string, k *keyTopic) {
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", b.api+"events?"+url.Values{"topic": {topic}}.Encode(), nil)
	if err != nil {
		panic(err)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close() //nolint:errcheck // the connection is gone then
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		var e struct {
			Topic       string
			Data, Error json.RawMessage
		}
		if !ok || json.Unmarshal([]byte(text), &e) != nil || e.Topic != topic {
			continue
		}
		k.mu.Lock()
		if e.Error != nil {
			k.errs++
		} else {
			k.events = append(k.events, e.Data)
		}
		k.mu.Unlock()
	}
}

// all returns what was told, and how often there was an error instead.
func (k *keyTopic) all() ([]json.RawMessage, int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.events), k.errs
}

// last puts what was told last into into.
func (k *keyTopic) last(into any) error {
	events, _ := k.all()
	if len(events) == 0 {
		return errors.New("nothing was told yet")
	}
	return json.Unmarshal(events[len(events)-1], into)
}

// lines reads an answer of lines; order nil: it is a question.
func (b *keyBrowser) lines(path string, query url.Values, order any, each func(json.RawMessage)) {
	b.t.Helper()
	method, kind := "GET", ""
	var body io.Reader
	if order != nil {
		text, err := json.Marshal(order)
		if err != nil {
			b.t.Fatal(err)
		}
		method, kind, body = "POST", "application/json", bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.api+"keys/"+path+"?"+query.Encode(), body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	if resp.StatusCode != 200 {
		text, err := io.ReadAll(resp.Body)
		b.t.Fatalf("%s: %d %s %v", path, resp.StatusCode, text, err)
	}
	for d := json.NewDecoder(resp.Body); ; {
		var line json.RawMessage
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.t.Fatal(err)
		}
		each(line)
	}
}
