// Package history records what clients of one lock did and were told, and
// judges whether a correct lock can have answered so.
//
// [History.Check] holds a history against two things. The model is a mutex
// with tokens, for which porcupine searches an order of all operations that
// explains every answer. The invariants are checked without any search, so
// that a defect in the model can't hide a defect in the lock: what two clients
// may rely on at one time never differs, and tokens grow from grant to grant.
package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// A Kind says what a client did.
type Kind int

const (
	Acquire  Kind = iota + 1 // answered with a grant
	Release                  // answered 200: the token was in the line
	Missed                   // a release answered 404: the token was not in the line
	Doubt                    // a release whose answer is unknown
	Renew                    // answered 200
	Read                     // answered which token holds the lock, 0 = none
	expire                   // made by Check: the store let the token go
	repeated                 // made by Check: a release that may have come after another one
	glimpse                  // made by Check: a read of a token that no client was told of
)

func (k Kind) String() string {
	return [...]string{"", "acquire", "release", "missed", "doubt", "renew", "read", "expire", "release", "read"}[k]
}

// An Op is one request with its answer. Requests that brought no grant and
// changed nothing (refused, timed out, hung up) are not recorded.
type Op struct {
	Kind   Kind
	Client int
	Token  uint64
	Owner  string        // who the grant is for: equal for requests that share a value
	Call   time.Duration // when it was sent, since the history's start
	Return time.Duration // when the answer was there
	Valid  time.Duration // Acquire and Renew: until when the client may rely on it, since the start
}

func (o Op) String() string {
	return fmt.Sprintf("client %d %s %d owner %s [%v, %v] valid until %v", o.Client, o.Kind, o.Token, o.Owner, o.Call, o.Return, o.Valid)
}

// A History collects operations from many clients at once.
type History struct {
	// Lossy says that etcd's replies may get lost: who repeats a release and
	// finds nothing is told that it is done, though it may be another one's
	// doing. Set before the first operation.
	Lossy bool

	start   time.Time
	mu      sync.Mutex
	ops     []Op
	byOwner []Op // releases whose token follows from the owner's grant
}

// New begins a history.
func New() *History { return &History{start: time.Now()} }

// Now is the time since the history's start.
func (h *History) Now() time.Duration { return time.Since(h.start) }

// Add records an operation. Safe for concurrent use.
func (h *History) Add(o Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// Ops returns what was recorded, in the order of the answers.
func (h *History) Ops() []Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := slices.Clone(h.ops)
	for _, r := range h.byOwner {
		for _, o := range h.ops {
			if o.Kind == Acquire && o.Owner == r.Owner {
				r.Token = o.Token
				ops = append(ops, r)
				break
			}
		}
	}
	slices.SortFunc(ops, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
	return ops
}

// Check returns what is wrong with the history, nothing if a correct lock can
// have answered so. Judging gives up after limit with an error that says so.
func (h *History) Check(limit time.Duration) []error {
	ops := h.Ops()
	errs := invariants(ops)
	complete, bad := expiries(ops, h.Lossy)
	if h.Lossy {
		for i := range complete {
			if complete[i].Kind == Release {
				complete[i].Kind = repeated
			}
		}
	}
	errs = append(errs, bad...)
	switch result, info := porcupine.CheckOperationsVerbose(mutexModel, operations(complete), limit); result {
	case porcupine.Illegal:
		errs = append(errs, fmt.Errorf("no order of the %d operations explains the answers; %s", len(complete), stuck(complete, info)))
	case porcupine.Unknown:
		errs = append(errs, fmt.Errorf("undecided after %v", limit))
	}
	return errs
}

// A hold is what all clients together may rely on for one token.
type hold struct {
	token    uint64
	owner    string
	from, to time.Duration
}

func (h hold) String() string {
	return fmt.Sprintf("token %d of %s in [%v, %v]", h.token, h.owner, h.from, h.to)
}

// holds returns what could be relied on, in the order of the tokens: from the
// first answer on, to the first release or the end of the latest validity.
func holds(ops []Op) []hold {
	byToken := make(map[uint64]*hold)
	for _, o := range ops {
		if o.Kind != Acquire && o.Kind != Renew {
			continue
		}
		if h := byToken[o.Token]; h == nil {
			byToken[o.Token] = &hold{o.Token, o.Owner, o.Return, o.Valid}
		} else {
			h.from, h.to = min(h.from, o.Return), max(h.to, o.Valid)
		}
	}
	for _, o := range ops {
		if h := byToken[o.Token]; h != nil && (o.Kind == Release || o.Kind == Doubt) {
			h.to = min(h.to, o.Call)
		}
	}
	var all []hold
	for _, h := range byToken {
		all = append(all, *h)
	}
	slices.SortFunc(all, func(a, b hold) int { return cmp.Compare(a.token, b.token) })
	return all
}

// invariants: each hold ends before the one with the next token begins. That
// says three things at once: nobody relies on the lock beside another, tokens
// only grow, and grants come in the order of the tokens.
func invariants(ops []Op) []error {
	var errs []error
	var last hold
	for _, h := range holds(ops) {
		if h.from >= h.to {
			continue // told too late to be relied on
		}
		if h.from < last.to {
			errs = append(errs, fmt.Errorf("%v overlaps %v", h, last))
		}
		last = h
	}
	owners := make(map[uint64]string)
	for _, o := range ops {
		if o.Kind != Acquire {
			continue
		}
		if owner, ok := owners[o.Token]; ok && owner != o.Owner {
			errs = append(errs, fmt.Errorf("token %d granted to %s and to %s", o.Token, owner, o.Owner))
		}
		owners[o.Token] = o.Owner
	}
	return errs
}

// expiries completes a history by the ends that no client saw: a token that
// nobody released was let go after the last client could rely on it, and
// before the next one was granted. With lossy replies one that was released may
// have been let go before, too.
func expiries(ops []Op, lossy bool) ([]Op, []error) {
	var errs []error
	released := make(map[uint64]bool)
	valid := make(map[uint64]time.Duration)
	granted := make(map[uint64]time.Duration) // token → first answer
	for _, o := range ops {
		switch o.Kind {
		case Release:
			released[o.Token] = true
		case Acquire, Renew:
			valid[o.Token] = max(valid[o.Token], o.Valid)
			if at, ok := granted[o.Token]; o.Kind == Acquire && (!ok || o.Return < at) {
				granted[o.Token] = o.Return
			}
		}
	}
	for _, o := range ops {
		if o.Kind == Doubt { // may have ended it
			valid[o.Token] = min(valid[o.Token], o.Call)
		}
	}
	tokens := make([]uint64, 0, len(granted))
	for t := range granted {
		tokens = append(tokens, t)
	}
	slices.Sort(tokens)
	complete := slices.DeleteFunc(slices.Clone(ops), func(o Op) bool {
		return o.Kind == Doubt
	})
	for i := range complete {
		// A token that a read has shown and no client was told of is that of a
		// client whose answer was lost, or came when it had left.
		if o := &complete[i]; o.Kind == Read && o.Token != 0 && granted[o.Token] == 0 {
			o.Kind = glimpse
		}
	}
	for i, t := range tokens {
		if released[t] && !lossy {
			continue
		}
		next := time.Duration(math.MaxInt64)
		if i+1 < len(tokens) {
			next = granted[tokens[i+1]]
		}
		if valid[t] >= next {
			if released[t] {
				continue // that was its end
			}
			errs = append(errs, fmt.Errorf("token %d was granted at %v while token %d was valid until %v", tokens[i+1], next, t, valid[t]))
			continue
		}
		complete = append(complete, Op{Kind: expire, Token: t, Call: valid[t], Return: next})
	}
	slices.SortFunc(complete, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
	return complete, errs
}

// stuck tells how far the search for an order has come: the end of the longest
// order that it has found, and the first answers that it has no place for.
func stuck(ops []Op, info porcupine.LinearizationInfo) string {
	var longest []int
	for _, order := range info.PartialLinearizations()[0] {
		if len(order) > len(longest) {
			longest = order
		}
	}
	const few = 5
	var b strings.Builder
	b.WriteString("possible up to")
	for _, i := range longest[max(0, len(longest)-few):] {
		fmt.Fprintf(&b, "\n    %v", ops[i])
	}
	b.WriteString("\nbut then there are")
	left := 0
	for i, o := range ops {
		if !slices.Contains(longest, i) && left < few {
			left++
			fmt.Fprintf(&b, "\n    %v", o)
		}
	}
	return b.String()
}

// A mutex with tokens.
type mutex struct{ holder, last uint64 }

var mutexModel = porcupine.Model{
	Init: func() any { return mutex{} },
	Step: func(state, input, _ any) (bool, any) {
		s, o := state.(mutex), input.(Op)
		switch o.Kind {
		case Acquire:
			if s.holder == o.Token { // shared, or repeated by the holder
				return true, s
			}
			return s.holder == 0 && o.Token > s.last, mutex{o.Token, o.Token}
		case Release:
			// A waiting entry can be released too: then it is not the holder.
			if s.holder != o.Token {
				return o.Token > s.last, s
			}
			return true, mutex{0, s.last}
		case Missed:
			return s.holder != o.Token, s
		case Read:
			// Of two entries that were created held at the same moment the later
			// one may become the first before it is made to wait: it is seen,
			// and then nobody for a moment, before it is granted.
			if s.holder == 0 && o.Token > s.last {
				return true, mutex{0, o.Token - 1}
			}
			return s.holder == o.Token, s
		case Renew:
			return s.holder == o.Token, s
		case glimpse: // somebody unknown had the lock at that moment
			return s.holder == 0 && o.Token >= s.last, mutex{0, o.Token}
		default: // expire, repeated: done, or nothing to do
			if s.holder == o.Token {
				s.holder = 0
			}
			return true, s
		}
	},
	DescribeOperation: func(input, _ any) string { return input.(Op).String() },
}

func operations(ops []Op) []porcupine.Operation {
	out := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		out[i] = porcupine.Operation{ClientId: i, Input: o, Call: int64(o.Call), Return: int64(o.Return)}
	}
	return out
}

// AddByOwner records that the entry of owner was released (Release), or may have
// been (Doubt), by somebody who did not know its token. If owner was granted the
// lock, that ended it; if not, a waiting entry was released and there is nothing
// to record.
func (h *History) AddByOwner(kind Kind, owner string, client int, call, ret time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byOwner = append(h.byOwner, Op{Kind: kind, Client: client, Owner: owner, Call: call, Return: ret})
}
