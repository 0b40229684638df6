package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// The fields of the form of the sign-in page, and of one by which a module's
// page lets its user sign out.
const (
	tokenField   = "modhost_token"
	userField    = "modhost_user"
	signOutField = "modhost_sign_out"
)

const (
	longestForm = 8 << 10          // bytes; a longer one is not the host's
	formTime    = 10 * time.Second // for a client to send it
)

//go:embed signin.html
var signInHTML string

//go:embed signin.css
var signInCSS string

// form is what a request has of the host's own form.
type form struct {
	signIn, signOut bool
	token, user     string
}

// signInForm reads the body of a request that may be the host's form. That of
// another one is put back for the module.
func signInForm(w http.ResponseWriter, r *http.Request) (f form, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" || r.ContentLength <= 0 || r.ContentLength > longestForm {
		return f, nil
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(formTime)) //nolint:errcheck // without one it is read all the same
	text := make([]byte, r.ContentLength)
	_, err = io.ReadFull(r.Body, text)
	control.SetReadDeadline(time.Time{}) //nolint:errcheck
	if err != nil {
		return f, err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(text), r.Body}
	if !bytes.Contains(text, []byte("modhost_")) {
		return f, nil
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return f, nil // the module's to complain about
	}
	return form{
		signIn: values.Has(tokenField), signOut: values.Has(signOutField),
		token: strings.TrimSpace(values.Get(tokenField)), user: tidyUser(values.Get(userField)),
	}, nil
}

// signIn gives the browser a session if the token is right.
func (s *Server) signIn(res *response, r *http.Request, m *Mount, f form) {
	now := time.Now()
	if e := s.judge(r, m, f.token, res.rules, now); e != nil {
		s.refuse(res, r, e)
		return
	}
	s.logger.Info("signed in", "module", m.Module, "user", f.user, "remote", r.RemoteAddr)
	setSession(res, r, newSession(res.rules.key, f.user, now.Add(sessionTime)))
	again(res, r)
}

// again leads the browser to where it is, by GET. The address is relative, since
// a proxy may have put something before the path.
func again(w http.ResponseWriter, r *http.Request) {
	to := "./"
	if p := r.URL.EscapedPath(); !strings.HasSuffix(p, "/") {
		to += path.Base(p)
	}
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// refuse answers a request without the right token: a person is shown the
// sign-in page, a program an error.
func (s *Server) refuse(res *response, r *http.Request, e *wire.Error) {
	h := res.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept, Authorization, Cookie")
	if e.Code == wire.CodeTooManyTries {
		h.Set("Retry-After", strconv.Itoa(int(tryTime.Seconds())))
	} else {
		// No Basic, for which browsers ask in a window of their own, also
		// when a script has sent the request.
		h.Set("WWW-Authenticate", `Bearer realm="modhost"`)
	}
	if !wantsHTML(r.Header.Values("Accept")) || !safe(r.Method) && r.Method != http.MethodPost {
		wire.WriteError(res, e)
		return
	}
	page := struct {
		Style  template.CSS
		Cause  string // empty at first
		Follow bool
	}{Style: template.CSS(signInCSS), Cause: e.Cause}
	if r.Method != http.MethodPost && r.Header.Get("Authorization") == "" {
		page.Cause = ""
		// Where a link on another site leads to, the browser leaves out a
		// Strict cookie. It sends it when the page itself asks again.
		page.Follow = r.Header.Get("Sec-Fetch-Site") == "cross-site"
	}
	var body bytes.Buffer
	if err := template.Must(template.New("sign-in").Parse(signInHTML)).Execute(&body, page); err != nil {
		panic(err) // the template and the type of page don't match
	}
	sum := sha256.Sum256([]byte(signInCSS))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	res.WriteHeader(e.HTTPStatus())
	res.Write(body.Bytes()) //nolint:errcheck // the client is gone, nobody left to tell
}
