package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// admit finds out who sends a request to a module with privileges, takes what
// proves it out of the request, and reports whether the module may have it. Else
// it is answered.
func (s *Server) admit(res *response, r *http.Request, m *Mount) bool {
	rules := res.rules
	access := &res.arrival.Access
	access.User = certified(r)
	if rules.Token == "" {
		access.ReadOnly = rules.ReadOnly
		if rules.ReadOnly == "" || safe(r.Method) {
			return true
		}
		wire.WriteError(res, wire.NewError(wire.CodeReadOnly, rules.ReadOnly))
		return false
	}
	f, err := signInForm(res, r)
	if err != nil {
		wire.WriteError(res, wire.NewError(wire.CodeRequestInvalid, "the form can't be read: "+err.Error()))
		return false
	}
	switch {
	case f.signOut:
		setSession(res, r, "")
		again(res, r)
		return false
	case f.signIn:
		s.signIn(res, r, m, f)
		return false
	}
	now := time.Now()
	if user, end, ok := session(rules.key, r, now); ok {
		res.until = end
		access.SignedIn = true
		access.User = orElse(user, access.User)
		r.Header.Del("Authorization")
		return true
	}
	user, token, given := credentials(r)
	if !given {
		s.refuse(res, r, wire.NewError(wire.CodeUnauthorized, noToken(m)))
		return false
	}
	if e := s.judge(r, m, token, rules, now); e != nil {
		s.refuse(res, r, e)
		return false
	}
	access.User = orElse(user, access.User)
	r.Header.Del("Authorization")
	return true
}

func noToken(m *Mount) string {
	return fmt.Sprintf("module %q is for who has the token: present the content of access.token_file as \"Authorization: Bearer …\" or as the password of Basic, or sign in with a browser", m.Module)
}

// judge says what is wrong with a token; nil if it is the right one.
func (s *Server) judge(r *http.Request, m *Mount, token string, rules *rules, now time.Time) *wire.Error {
	right, limited := s.tries.check(addressOf(r.RemoteAddr), token, rules.token, now)
	switch {
	case right:
		return nil
	case limited > 0:
		return wire.NewError(wire.CodeTooManyTries, fmt.Sprintf("too many wrong tokens came from this address; wait %d s", seconds(limited)))
	}
	s.logger.Warn("wrong token", "module", m.Module, "remote", r.RemoteAddr)
	return wire.NewError(wire.CodeUnauthorized, "that is not the token; look into access.token_file")
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// credentials returns what the Authorization header holds: a token alone, or as
// the password of any user.
func credentials(r *http.Request) (user, token string, given bool) {
	if user, token, ok := r.BasicAuth(); ok {
		return tidyUser(user), token, true
	}
	kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return "", strings.TrimLeft(token, " "), ok && strings.EqualFold(kind, "Bearer")
}

// certified returns the name in the client's certificate, which was verified
// when the connection was made.
func certified(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	return tidyUser(r.TLS.PeerCertificates[0].Subject.CommonName)
}

// withoutToken takes the host's token away from a request to a module that has
// no privileges: a browser to which it was told sends it everywhere.
func (r *rules) withoutToken(req *http.Request) {
	if r.Token == "" || req.Header.Get("Authorization") == "" {
		return
	}
	_, token, given := credentials(req)
	if sum := sha256.Sum256([]byte(token)); given && subtle.ConstantTimeCompare(sum[:], r.token[:]) == 1 {
		req.Header.Del("Authorization")
	}
}

// safe are the methods that a browser may be made to use by any page, so that
// nothing must change by them.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
