package queuehttp

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// The limits of what clients may send, in bytes.
const (
	MaxName = 1 << 10  // name of a line
	MaxText = 64 << 10 // value of a parameter, see [Params.Text]
	MaxBody = 1 << 20
)

const maxSeconds = int64(store.MaxTTL / time.Second)

// nameOf is the name of the line: what follows the mount and a slash, decoded
// once and otherwise exactly as sent.
func (d *Desk) nameOf(r *http.Request) (string, error) {
	raw, ok := strings.CutPrefix(r.URL.EscapedPath(), sdk.RequestOf(r).Mount())
	raw, slash := strings.CutPrefix(raw, "/")
	name, err := url.PathUnescape(raw)
	switch {
	case !ok || !slash || err == nil && name == "":
		return "", sdk.NewError(sdk.CodeNameInvalid, d.words.The+"'s name is missing; put it behind the slash")
	case err != nil:
		return "", sdk.NewError(sdk.CodeNameInvalid, err.Error())
	case !utf8.ValidString(name):
		return "", sdk.NewError(sdk.CodeNameInvalid, d.words.The+"'s name is not UTF-8")
	case len(name) > MaxName:
		return "", sdk.NewError(sdk.CodeNameInvalid, fmt.Sprintf("%s's name has %d bytes; at most %d are allowed", d.words.The, len(name), MaxName))
	}
	return name, nil
}

// read reads the name of the line and the parameters of a request that may
// have a body.
func (d *Desk) read(w http.ResponseWriter, r *http.Request) (name string, p Params, err error) {
	if name, err = d.nameOf(r); err == nil {
		p, err = parameters(w, r)
	}
	return name, p, err
}

// Params are the parameters of a request. What was sent twice counts as it was
// sent first; what stands in the body comes before what stands in the query.
type Params struct{ url.Values }

// query reads the parameters of the URL.
func query(r *http.Request) (Params, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Params{}, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("the query can't be read: %v", err))
	}
	return Params{v}, nil
}

// parameters reads those of the URL and of a form in the body, whatever the
// method. The body's come first, so they win.
func parameters(w http.ResponseWriter, r *http.Request) (Params, error) {
	p, err := query(r)
	if err != nil {
		return p, err
	}
	body, err := form(w, r)
	var large *http.MaxBytesError
	var answer *sdk.Error
	switch {
	case errors.As(err, &large):
		return p, sdk.NewError(sdk.CodeTooLarge, fmt.Sprintf("the body has more than %d bytes", MaxBody))
	case errors.As(err, &answer):
		return p, answer
	case err != nil:
		return p, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("the body can't be read: %v", err))
	}
	for key, values := range body {
		p.Values[key] = append(values, p.Values[key]...)
	}
	return p, nil
}

// form reads a form from the body. net/http does so only for some methods.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind := "application/x-www-form-urlencoded"
	if header := r.Header.Get("Content-Type"); header != "" {
		var err error
		if kind, _, err = mime.ParseMediaType(header); err != nil {
			return nil, fmt.Errorf("content type %.100q: %w", header, err)
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	if kind == "multipart/form-data" {
		parts, err := r.MultipartReader()
		if err != nil {
			return nil, err
		}
		f, err := parts.ReadForm(MaxBody)
		if err != nil {
			return nil, err
		}
		return f.Value, f.RemoveAll()
	}
	text, err := io.ReadAll(r.Body)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	if kind != "application/x-www-form-urlencoded" {
		return nil, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("the body is %.100q; send parameters as a form, as curl -d does", kind))
	}
	return url.ParseQuery(string(text))
}

// seconds reads a whole number of seconds from least to a year.
func (p Params) seconds(key string, least int64, code sdk.Code) (time.Duration, error) {
	text := p.Get(key)
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || int64(n) < least || int64(n) > maxSeconds {
		return 0, sdk.NewError(code, fmt.Sprintf("%s is %.100q; give whole seconds from %d to %d", key, text, least, maxSeconds))
	}
	return time.Duration(n) * time.Second, nil
}

// TTL reads the parameter ttl, 1 second to [store.MaxTTL]. It is required.
func (p Params) TTL() (time.Duration, error) {
	if !p.Has("ttl") {
		return 0, sdk.NewError(sdk.CodeTTLInvalid, fmt.Sprintf("ttl is missing; give whole seconds from 1 to %d", maxSeconds))
	}
	return p.seconds("ttl", 1, sdk.CodeTTLInvalid)
}

// Timeout reads the parameter timeout, 0 to [store.MaxTTL]; [queue.Forever] if
// there is none.
func (p Params) Timeout() (time.Duration, error) {
	if !p.Has("timeout") {
		return queue.Forever, nil
	}
	return p.seconds("timeout", 0, sdk.CodeTimeoutInvalid)
}

// Text reads the parameter key, any UTF-8 of at most [MaxText] bytes; "" if
// there is none. What says to clients what it is: "the value".
func (p Params) Text(key, what string) (string, error) {
	v := p.Get(key)
	switch {
	case len(v) > MaxText:
		return "", sdk.NewError(sdk.CodeTooLarge, fmt.Sprintf("%s has %d bytes; at most %d are allowed", what, len(v), MaxText))
	case !utf8.ValidString(v):
		return "", sdk.NewError(sdk.CodeValueInvalid, what+" is not UTF-8")
	}
	return v, nil
}
