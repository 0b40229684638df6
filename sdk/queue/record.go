package queue

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// Where things lie below the module's own prefix.
const (
	linesDir    = "q" // q/<encoded name>/<entry id>
	sessionsDir = "s" // s/<session id>
	forcedDir   = "f" // f/<index>-<nonce>
)

type state string

const (
	waiting state = "waiting" // no TTL, kept alive by the sessions it names
	held    state = "held"    // lives by its TTL; holds the lock when it is first
)

// A record is the content of an entry. Nonce differs in every write, which
// makes a write recognisable after a lost reply.
type record struct {
	State     state    `json:"state"`
	Nonce     string   `json:"nonce"`
	Value     string   `json:"value,omitempty"`
	Anonymous bool     `json:"anonymous,omitempty"` // named by its request, not by a value
	TTL       int64    `json:"ttl"`                 // seconds, from the grant on
	Sessions  []string `json:"sessions,omitempty"`  // who waits on it; on a held entry who waited
	Since     int64    `json:"since,omitempty"`     // of the grant, Unix milliseconds by the writer's clock; information only
	Asked     int64    `json:"asked,omitempty"`     // of the creation, likewise
	Renewed   bool     `json:"renewed,omitempty"`   // since the grant; information only
}

// encode gives the record a nonce of its own and returns it as content.
func (r record) encode() string { return r.marked().content() }

// marked is r with a nonce of its own.
func (r record) marked() record {
	r.Nonce = rand.Text()
	return r
}

func (r record) content() string {
	b, err := json.Marshal(r)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	return string(b)
}

// since is Since, or the zero time; asked likewise.
func (r record) since() time.Time { return unixMilli(r.Since) }
func (r record) asked() time.Time { return unixMilli(r.Asked) }

func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func (r record) ttl() time.Duration { return time.Duration(r.TTL) * time.Second }

func (r record) with(s state, ttl time.Duration, sessions []string) record {
	r.State = s
	r.TTL = int64(ttl / time.Second)
	r.Sessions = sessions
	r.Since, r.Renewed = 0, false
	if s == held {
		r.Since = time.Now().UnixMilli()
	}
	return r
}

// An item is an entry of a line with its decoded content.
type item struct {
	entry store.Entry
	rec   record
	id    string    // last segment of the key
	seen  time.Time // when this state was received
}

// decode never fails: content that is not ours counts as held by nobody we
// know, so that it blocks the line instead of letting somebody past it. It can
// be removed by its index like any entry.
func decode(e store.Entry, now time.Time) item {
	it := item{entry: e, id: e.Key[strings.LastIndexByte(e.Key, '/')+1:], seen: now}
	if json.Unmarshal([]byte(e.Value), &it.rec) != nil || (it.rec.State != waiting && it.rec.State != held) {
		it.rec = record{State: held, Anonymous: true}
	}
	return it
}

// remaining is what is left of a held entry's TTL, never negative.
func (it item) remaining(now time.Time) time.Duration {
	return max(0, it.entry.TTL-now.Sub(it.seen))
}

func byCreation(a, b item) int {
	switch {
	case a.entry.Created < b.entry.Created:
		return -1
	case a.entry.Created > b.entry.Created:
		return 1
	}
	return 0
}

func decodeAll(entries []store.Entry) []item {
	now := time.Now()
	items := make([]item, len(entries))
	for i, e := range entries {
		items[i] = decode(e, now)
	}
	slices.SortFunc(items, byCreation)
	return items
}

// entryID names an entry by its owner: by the value where there is one, so
// that equal values meet in one entry, else by the request.
func entryID(value, request string) string {
	kind, owner := "v", value
	if value == "" {
		kind, owner = "r", request
	}
	sum := sha256.Sum256([]byte(owner))
	return kind + hex.EncodeToString(sum[:])
}

// lineDir is the directory of the lock called name. Letters, digits and "-"
// stand for themselves, every other byte is written ~hh, so names never meet,
// never nest, and never hold what etcd treats specially ("_", ".", "/").
func lineDir(name string) string {
	return linesDir + "/" + encodeSegment(name)
}

// lineName is the name that lineDir made dir of. What it did not make stands for
// itself.
func lineName(dir string) string {
	s := strings.TrimPrefix(dir, linesDir+"/")
	if !strings.Contains(s, "~") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '~' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func encodeSegment(s string) string {
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('~')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}
