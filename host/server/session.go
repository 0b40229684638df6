package server

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	sessionCookie = "modhost_session"
	sessionTime   = 12 * time.Hour

	// longestUser is how much of a name is kept, in bytes.
	longestUser = 100
)

// sessionKey returns what sessions are signed with. It follows from the token:
// hosts with the same one know each other's sessions, and a new one ends all.
func sessionKey(token string) []byte {
	return seal([]byte(token), []byte("modhost session 1"))
}

func seal(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text) //nolint:errcheck // in memory
	return h.Sum(nil)
}

// newSession returns the value of the cookie of who has signed in as user. The
// host keeps nothing: in the value are when it ends and the name, and a seal.
func newSession(key []byte, user string, end time.Time) string {
	text := binary.BigEndian.AppendUint64(nil, uint64(end.Unix()))
	text = append(text, user...)
	return base64.RawURLEncoding.EncodeToString(append(seal(key, text), text...))
}

// session returns who the cookies of r have signed in, and until when.
func session(key []byte, r *http.Request, now time.Time) (user string, end time.Time, ok bool) {
	for _, c := range r.CookiesNamed(sessionCookie) {
		value, err := base64.RawURLEncoding.DecodeString(c.Value)
		if err != nil || len(value) < sha256.Size+8 {
			continue
		}
		text := value[sha256.Size:]
		if !hmac.Equal(value[:sha256.Size], seal(key, text)) {
			continue
		}
		if end = time.Unix(int64(binary.BigEndian.Uint64(text)), 0); now.Before(end) {
			return string(text[8:]), end, true
		}
	}
	return "", time.Time{}, false
}

// setSession hands the cookie out; with an empty value it takes it back. Strict:
// no page of another site has a browser send it.
func setSession(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		MaxAge: int(sessionTime.Seconds()),
		// What a proxy with TLS in front says is believed, since who lies has
		// no cookie.
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// withoutSession takes the host's cookie away and leaves the others as they are.
func withoutSession(h http.Header) {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(s, sessionCookie) }) {
		return
	}
	var left []string
	for _, line := range lines {
		pairs := slices.DeleteFunc(strings.Split(line, ";"), func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return strings.TrimSpace(name) == sessionCookie
		})
		if line = strings.TrimSpace(strings.Join(pairs, ";")); line != "" {
			left = append(left, line)
		}
	}
	delete(h, "Cookie")
	if left != nil {
		h["Cookie"] = left
	}
}

// tidyUser makes a name of what a client says that it is called.
func tidyUser(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, s)
	if len(s) > longestUser {
		s = string(bytes.ToValidUTF8([]byte(s[:longestUser]), nil))
	}
	return strings.TrimSpace(s)
}
