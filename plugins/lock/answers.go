package main

import (
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
)

// An answer is what is said to a client that accepts application/json. Zero
// fields do not apply and are left out.
type answer struct {
	Name      string  `json:"name"`
	State     string  `json:"state"` // held, free, waiting, released
	Value     string  `json:"value,omitempty"`
	Index     uint64  `json:"index,omitempty"`
	Token     uint64  `json:"token,omitempty"` // the index by its other name
	TTL       int64   `json:"ttl,omitempty"`   // seconds asked for
	ValidFor  float64 `json:"valid_for,omitempty"`
	Since     string  `json:"since,omitempty"`     // RFC 3339, by the clock of the host that granted
	Remaining int64   `json:"remaining,omitempty"` // seconds, rounded up
	Waiting   *int    `json:"waiting,omitempty"`   // entries behind the holder
}

func grantOf(name string, r *http.Request, g *queue.Grant) answer {
	return answer{
		Name: name, State: "held", Value: g.Value, Index: uint64(g.Index), Token: uint64(g.Index),
		TTL: int64(g.TTL / time.Second), ValidFor: validFor(r, g),
	}
}

// grantHeaders tells what every grant and renewal is worth.
func grantHeaders(w http.ResponseWriter, r *http.Request, g *queue.Grant) {
	h := w.Header()
	h.Set("X-Lock-State", "held")
	h.Set("X-Lock-Token", strconv.FormatUint(uint64(g.Index), 10))
	h.Set("X-Lock-Valid-For", strconv.FormatFloat(validFor(r, g), 'f', 3, 64))
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

func writeJSON(w http.ResponseWriter, a answer) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return write(w, "application/json", append(body, '\n'))
}

// write answers with body. What a lock is called or holds must never be taken
// for HTML, and no cache may answer for who holds it. The length lets a grant
// go out in one piece, whose flush tells whether it did.
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
