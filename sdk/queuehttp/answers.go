package queuehttp

import (
	"bytes"
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
)

// An answer is what is said to a client that accepts application/json. Zero
// fields do not apply and are left out.
type answer struct {
	Name      string
	State     string
	Owner     string
	Index     uint64 // also told as token, its other name
	TTL       int64  // seconds asked for
	ValidFor  float64
	Since     string // RFC 3339, by the clock of the host that granted
	Remaining int64  // seconds, rounded up
	Waiting   *int   // entries behind the holder
}

// encode writes the answer in the order of its fields. The owner's member is
// called as the module calls it, which is why no struct tags do this.
func (a answer) encode(owner string) ([]byte, error) {
	var b bytes.Buffer
	for _, m := range []struct {
		name  string
		value any
	}{
		{"name", a.Name}, {"state", a.State}, {owner, a.Owner}, {"index", a.Index}, {"token", a.Index},
		{"ttl", a.TTL}, {"valid_for", a.ValidFor}, {"since", a.Since}, {"remaining", a.Remaining}, {"waiting", a.Waiting},
	} {
		if reflect.ValueOf(m.value).IsZero() {
			continue
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.WriteString(`,"` + m.name + `":`)
		b.Write(value)
	}
	text := b.Bytes()
	text[0] = '{' // every answer has a name
	return append(text, '}', '\n'), nil
}

// granted is the answer to a grant or a renewal.
func (d *Desk) granted(name string, r *http.Request, g *queue.Grant) answer {
	return answer{
		Name: name, State: d.words.Held, Owner: g.Value, Index: uint64(g.Index),
		TTL: int64(g.TTL / time.Second), ValidFor: validFor(r, g),
	}
}

// standing is the answer to who asks how things stand.
func (d *Desk) standing(name string, s queue.Status) answer {
	a := answer{Name: name, State: d.words.Free, Waiting: &s.Waiting}
	if !s.Held {
		return a
	}
	a.State, a.Owner, a.Index = d.words.Held, s.Value, uint64(s.Index)
	a.Remaining = int64(roundedUp(s.Remaining) / time.Second)
	if !s.Since.IsZero() {
		a.Since = s.Since.UTC().Format(time.RFC3339)
	}
	return a
}

// grantHeaders tells what every grant and renewal is worth.
func (d *Desk) grantHeaders(w http.ResponseWriter, r *http.Request, g *queue.Grant) {
	h := w.Header()
	h.Set(d.words.Header+"State", d.words.Held)
	h.Set(d.words.Header+"Token", strconv.FormatUint(uint64(g.Index), 10))
	h.Set(d.words.Header+"Valid-For", strconv.FormatFloat(validFor(r, g), 'f', 3, 64))
}

// validFor is in seconds, rounded down to milliseconds, counted from when the
// client sent the request.
func validFor(r *http.Request, g *queue.Grant) float64 {
	received := sdk.RequestOf(r).Received()
	if received.IsZero() { // served without a host; without the time it waited, which is on the safe side
		received = time.Now()
	}
	return math.Floor(g.ValidFor(received).Seconds()*1000) / 1000
}

// writeText answers with exactly text, no newline added.
func writeText(w http.ResponseWriter, text string) error {
	return write(w, "text/plain; charset=utf-8", []byte(text))
}

func (d *Desk) writeJSON(w http.ResponseWriter, a answer) error {
	body, err := a.encode(d.words.Member)
	if err != nil {
		return err
	}
	return write(w, "application/json", body)
}

// write answers with body. What a line is called or its owner must never be
// taken for HTML, and no cache may answer for who holds it. The length lets a
// grant go out in one piece, whose flush tells whether it did.
func write(w http.ResponseWriter, kind string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

// wantsJSON reports whether the client names application/json among what it
// accepts. A bare */*, as curl sends, gets plain text.
func wantsJSON(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || kind != "application/json" {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); params["q"] == "" || err == nil && q > 0 {
				return true
			}
		}
	}
	return false
}
