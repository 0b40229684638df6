package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// Rules say which requests are taken. The zero value takes those for IP
// addresses and localhost, lets pages of other origins change nothing, and
// guards no module.
type Rules struct {
	// Hosts are the names that a Host header may hold beside localhost and IP
	// addresses.
	Hosts []string

	// Origins are those whose pages may use modules without privileges, as
	// they stand in an Origin header; "*" is all.
	Origins []string

	// Token is what has to be presented for modules with privileges; "" is
	// nothing.
	Token string

	// ReadOnly says why modules with privileges may not be made to change
	// anything: "why; remedy". "" if they may. It does not count with a Token.
	ReadOnly string
}

// rules are Rules with what is made of them once.
type rules struct {
	Rules
	protection http.CrossOriginProtection
	anyOrigin  bool
	token      [sha256.Size]byte // its sum
	key        []byte            // of sessions

	// life ends when another token counts: what the old one has let in ends then.
	life context.Context
	end  context.CancelCauseFunc
}

func newRules(r Rules) *rules {
	made := &rules{Rules: r, anyOrigin: slices.Contains(r.Origins, "*"), token: sha256.Sum256([]byte(r.Token)), key: sessionKey(r.Token)}
	made.life, made.end = context.WithCancelCause(context.Background())
	return made
}

// follow makes r the rules after old, which may be nil.
func (r *rules) follow(old *rules) {
	switch {
	case old == nil:
	case old.Token == r.Token:
		r.life, r.end = old.life, old.end
	default:
		old.end(wire.NewError(wire.CodeUnauthorized, "another token counts by now; present that, or sign in again"))
	}
}

// bound returns a context for a request that a token has let in: it ends with
// that, and at the end of a session, unless until is zero.
func (r *rules) bound(ctx context.Context, until time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.life, func() { cancel(context.Cause(r.life)) })
	free := func() {}
	if !until.IsZero() {
		ctx, free = context.WithDeadlineCause(ctx, until, wire.NewError(wire.CodeUnauthorized, "the session is over; sign in again"))
	}
	return ctx, func() {
		free()
		stop()
		cancel(nil)
	}
}

// misdirected refuses a request that asks for another host. A page can have its
// own name lead to the host's address (DNS rebinding); to the browser the host
// then is the page's own origin, so that nothing but the name in Host gives it
// away. A browser sends a name always, hence one without is none.
func (r *rules) misdirected(req *http.Request) *wire.Error {
	name := hostname(req.Host)
	if name == "" || isAddress(name) || strings.EqualFold(name, "localhost") ||
		slices.ContainsFunc(r.Hosts, func(s string) bool { return strings.EqualFold(s, name) }) {
		return nil
	}
	return wire.NewError(wire.CodeMisdirected, fmt.Sprintf("the name %.100q in Host is none of this host's; ask for its IP address or for localhost, or add the name to allowed_hosts", name))
}

// hostname returns a Host header without its port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// foreign refuses what a page of another origin would have a browser do: all but
// GET, HEAD and OPTIONS. Requests of other clients lack the headers that tell.
// m is nil if it is for no module.
func (r *rules) foreign(req *http.Request, m *Mount) *wire.Error {
	if r.protection.Check(req) == nil {
		return nil
	}
	cause := "a page of another site may not do this"
	if origin := req.Header.Get("Origin"); origin != "" {
		cause = fmt.Sprintf("a page of %.100q may not do this", origin)
	}
	switch {
	case m == nil:
	case m.Privileged:
		cause += ": the module has privileges, and those are for pages of its own"
	case r.shares(req.Header.Get("Origin")):
		return nil
	default:
		cause += "; list its origin in cors.origins if it shall"
	}
	return wire.NewError(wire.CodeCrossOrigin, cause)
}

// shares reports whether pages of origin may use modules without privileges.
func (r *rules) shares(origin string) bool {
	return r.anyOrigin || slices.Contains(r.Origins, origin)
}
