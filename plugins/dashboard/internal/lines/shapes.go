package lines

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// What a browser is told. Numbers of 64 bits are texts; times are Unix
// milliseconds, 0 is none.

// mostValue is how many bytes of a value are sent; the rest is for who asks.
const mostValue = 200

// An Owner tells a place of a line from the others.
type Owner struct {
	Index     string `json:"index"`
	Value     string `json:"value,omitempty"` // its beginning
	Size      int    `json:"size,omitempty"`  // of the value in bytes, if only its beginning is here
	Anonymous bool   `json:"anonymous,omitempty"`
	Held      bool   `json:"held,omitempty"`
}

// A Place is one place of a line.
type Place struct {
	Owner
	TTL      int64 `json:"ttl"`                // seconds
	Asked    int64 `json:"asked,omitempty"`    // when it came into the line
	Since    int64 `json:"since,omitempty"`    // of the grant
	Expires  int64 `json:"expires,omitempty"`  // of a holder
	Sessions int   `json:"sessions,omitempty"` // processes of modules that wait on it, or did
	Renewed  bool  `json:"renewed,omitempty"`
}

// A Line is what a list says of a line: its two ends and how long it is.
type Line struct {
	Module  string `json:"module"`
	Name    string `json:"name"`
	Holder  *Place `json:"holder,omitempty"`
	Next    *Owner `json:"next,omitempty"` // the first one that waits
	Waiting int    `json:"waiting,omitempty"`
	Asked   int64  `json:"asked,omitempty"` // when who waits longest came; places are served in that order
	Gone    bool   `json:"gone,omitempty"`  // nobody stands in it any more
}

// A Queue is one line with all its places.
type Queue struct {
	Module string  `json:"module"`
	Name   string  `json:"name"`
	Places []Place `json:"places"` // in the order of their turn: the first ones
	Total  int     `json:"total"`
}

// An Ending tells how a place has ended: of a holder, or of one that was taken
// out of the line.
type Ending struct {
	Number int64  `json:"number"` // grows; of this process
	Module string `json:"module"`
	Name   string `json:"name"`
	Owner
	Since  int64  `json:"since,omitempty"` // of the grant
	Asked  int64  `json:"asked,omitempty"`
	At     int64  `json:"at"`
	Reason string `json:"reason"`       // as queue.EndReason
	By     string `json:"by,omitempty"` // who has forced it
	Next   *Owner `json:"next,omitempty"`
}

func (e Ending) key() lineKey { return lineKey{e.Module, e.Name} }

// A Contact says how true the lines of a module are.
type Contact struct {
	Module string `json:"module"`
	Seen   int64  `json:"seen,omitempty"`  // when they were last known to be
	Error  string `json:"error,omitempty"` // why they may be old
}

func ownerOf(p queue.Place) Owner {
	o := Owner{Index: indexText(p.Index), Value: p.Value, Anonymous: p.Anonymous, Held: p.Held}
	if len(p.Value) > mostValue {
		o.Size = len(p.Value)
		o.Value = beginning(p.Value)
	}
	return o
}

// beginning cuts a value between two characters.
func beginning(value string) string {
	n := mostValue
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	return value[:n]
}

func placeOf(p queue.Place) Place {
	return Place{
		Owner: ownerOf(p), TTL: int64(p.TTL / time.Second), Asked: millis(p.Asked), Since: millis(p.Since), Expires: millis(p.Expires),
		Sessions: p.Sessions, Renewed: p.Renewed,
	}
}

func lineOf(module string, l queue.Line) Line {
	line := Line{Module: module, Name: l.Name, Gone: len(l.Places) == 0}
	behind := l.Places
	if len(behind) > 0 && behind[0].Held {
		holder := placeOf(behind[0])
		line.Holder, behind = &holder, behind[1:]
	}
	if line.Waiting = len(behind); line.Waiting > 0 {
		next := ownerOf(behind[0])
		line.Next, line.Asked = &next, millis(behind[0].Asked)
	}
	return line
}

// mostPlaces is how many places of a line are sent.
const mostPlaces = 500

func queueOf(module string, l queue.Line) Queue {
	q := Queue{Module: module, Name: l.Name, Total: len(l.Places), Places: []Place{}}
	for _, p := range l.Places[:min(len(l.Places), mostPlaces)] {
		q.Places = append(q.Places, placeOf(p))
	}
	return q
}

func endingOf(number int64, module string, e queue.Ending) Ending {
	end := Ending{
		Number: number, Module: module, Name: e.Line, Owner: ownerOf(e.Place), Since: millis(e.Place.Since), Asked: millis(e.Place.Asked),
		At: e.At.UnixMilli(), Reason: string(e.Reason), By: e.By,
	}
	if e.Next != nil {
		next := ownerOf(*e.Next)
		end.Next = &next
	}
	return end
}

func contactOf(module string, c queue.Contact) Contact {
	contact := Contact{Module: module, Seen: millis(c.Seen)}
	if c.Err != nil {
		contact.Error = c.Err.Error()
	}
	return contact
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func indexText(n store.Revision) string { return strconv.FormatUint(uint64(n), 10) }
