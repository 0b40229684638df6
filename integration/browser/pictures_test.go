package browser

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// Pictures of every page in both themes and widths, for who wants to look: into
// the folder MODHOST_PICTURES, or nowhere. What they show is also a test: no
// picture is of a page that has nothing on it.
func TestPictures(t *testing.T) {
	dir := os.Getenv("MODHOST_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, rows := range []int{0, 3, 300} {
		if rows != 3 && os.Getenv("MODHOST_PICTURES") == "" {
			continue // pictures that nobody looks at; the pages' own tests have as many rows
		}
		h := start(t, "")
		populate(t, h, rows)
		tb := open(t, h, "")
		for _, page := range pages {
			at := page
			if rows > 0 {
				at = map[string]string{"keys": "keys?at=/app/web/config.json", "locks": "locks?open=lock:deploy-0", "leaders": "leaders?open=leader:nightly-0"}[page]
				if at == "" {
					at = page
				}
			}
			tb.Go(h.URL + "/mod/dashboard/" + at)
			tb.WaitSee("h1")
			tb.WaitSee("[role=status]|live")
			tb.Wait(`document.querySelectorAll("[aria-busy=true]").length === 0`)
			for _, s := range screens {
				s.show(tb)
				name := page
				if name == "" {
					name = "overview"
				}
				tb.Picture(filepath.Join(dir, fmt.Sprintf("%s-%d-%s-%d.png", name, rows, s.scheme, s.width)))
				if text := tab.Eval[string](tb, `document.querySelector("main").innerText`); len(strings.TrimSpace(text)) < 20 {
					t.Errorf("page %q, %d rows: says %q only", page, rows, text)
				}
			}
		}
	}
}

// The two pictures that the READMEs show, into the folder
// MODHOST_PICTURES_README, or nowhere: see make pictures.
func TestPictures_OfTheREADME(t *testing.T) {
	dir := os.Getenv("MODHOST_PICTURES_README")
	if dir == "" {
		dir = t.TempDir()
	}
	h := start(t, "")
	populate(t, h, 5)
	for _, name := range []string{"report", "backup", "nightly build"} {
		grant(t, h.URL, "POST", "/mod/v2/lock/"+url.PathEscape(name)+"?ttl=90", url.Values{"value": {"ci-" + name[:3]}})
	}
	tb := open(t, h, "")
	for file, page := range map[string]string{"locks.png": "locks?open=lock:deploy-0", "keys.png": "keys?at=/app/web/config.json"} {
		tb.Go(h.URL + "/mod/dashboard/" + page)
		screen{"light", 1200}.show(tb)
		tb.WaitSee("h1")
		tb.WaitSee("[role=status]|live")
		tb.Wait(`document.querySelectorAll("[aria-busy=true]").length === 0 && document.querySelector("main").innerText.length > 100`)
		tb.Size(1200, 600)
		tb.Picture(filepath.Join(dir, file))
	}
}

// populate fills a host with that many locks, elections and keys.
func populate(t *testing.T, h *drive.Host, rows int) {
	t.Helper()
	for i := range rows {
		grant(t, h.URL, "POST", fmt.Sprintf("/mod/v2/lock/deploy-%d?ttl=%d", i, 300+i), url.Values{"value": {fmt.Sprintf("worker-%d.example", i)}})
		grant(t, h.URL, "PUT", fmt.Sprintf("/mod/v2/leader/nightly-%d?ttl=%d", i, 300+i), url.Values{"name": {fmt.Sprintf("node-%d", i)}})
		put(t, h, fmt.Sprintf("/app/hosts/node-%03d", i), fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256), 0)
	}
	if rows == 0 {
		return
	}
	for i := range 3 {
		wait(t, h.URL, "POST", "/mod/v2/lock/deploy-0?ttl=60", url.Values{"value": {fmt.Sprintf("waiter-%d", i)}})
		wait(t, h.URL, "PUT", "/mod/v2/leader/nightly-0?ttl=60", url.Values{"name": {fmt.Sprintf("candidate-%d", i)}})
	}
	put(t, h, "/app/web/config.json", "{\n  \"listen\": \":8080\",\n  \"workers\": 4,\n  \"tls\": {\"cert\": \"web.pem\", \"minVersion\": 1.2},\n  \"debug\": false\n}\n", 600)
	put(t, h, "/app/web/routes.yaml", "routes:\n  - path: /\n    to: web\n  - path: /api # v2\n    to: api\n", 0)
	put(t, h, "/app/motd", "Good morning", 60)
}

// put writes a key of etcd's as any client would; ttl is in seconds, 0 is for
// ever. The key is not escaped for you.
func put(t *testing.T, h *drive.Host, key, value string, ttl int) {
	t.Helper()
	form := url.Values{"value": {value}}
	if ttl > 0 {
		form.Set("ttl", fmt.Sprint(ttl))
	}
	if status, body, err := send(t.Context(), h.Etcd, "PUT", "/v2/keys"+key, form); err != nil || status > 201 {
		t.Fatalf("PUT %s: %d %s, %v", key, status, body, err)
	}
}
