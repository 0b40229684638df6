package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	manyTries  = 10              // wrong tokens from one address before it has to wait
	tryTime    = 6 * time.Second // after which it has one more
	manyTriers = 1000            // addresses that are kept apart
)

// tries counts wrong tokens by address, so that a token can't be guessed. The
// zero value is ready to use.
type tries struct {
	mu sync.Mutex // guards what follows
	by map[string]*trier
}

// trier is one address.
type trier struct {
	left time.Duration // at the moment at; a try costs tryTime of it
	at   time.Time
	last [sha256.Size]byte // the sum of the latest wrong token
}

// check compares the sum of given with that of the token. limited says that the
// address has to wait before it may try again, and how long; then nothing was
// compared. One wrong token over and over, as by a program that was not told of
// the new one, counts once.
func (t *tries) check(address, given string, token [sha256.Size]byte, now time.Time) (right bool, limited time.Duration) {
	sum := sha256.Sum256([]byte(given))
	t.mu.Lock()
	defer t.mu.Unlock()
	who := t.by[address]
	if who == nil && len(t.by) >= manyTriers {
		maps.DeleteFunc(t.by, func(_ string, who *trier) bool { return now.Sub(who.at) >= manyTries*tryTime })
		if len(t.by) >= manyTriers {
			address = "" // too many at once: the new ones share what one has
			who = t.by[address]
		}
	}
	if who != nil {
		who.left = min(manyTries*tryTime, who.left+now.Sub(who.at))
		who.at = now
		if who.last == sum && sum != token {
			return false, 0
		}
		if who.left < tryTime {
			return false, tryTime - who.left
		}
	}
	if subtle.ConstantTimeCompare(sum[:], token[:]) == 1 {
		return true, 0
	}
	if who == nil {
		if t.by == nil {
			t.by = make(map[string]*trier)
		}
		who = &trier{left: manyTries * tryTime, at: now}
		t.by[address] = who
	}
	who.left -= tryTime
	who.last = sum
	return false, 0
}

// addressOf returns what stands for the client of a connection: its IP address,
// of IPv6 the network, since a client there has many.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().Is4() {
		return host
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}
