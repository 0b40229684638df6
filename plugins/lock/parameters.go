package main

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

const (
	maxName    = 1 << 10
	maxValue   = 64 << 10
	maxBody    = 1 << 20
	maxSeconds = int64(store.MaxTTL / time.Second)
)

// nameOf is the lock's name: what follows the mount and a slash, decoded once
// and otherwise exactly as sent.
func nameOf(r *http.Request) (string, error) {
	raw, ok := strings.CutPrefix(r.URL.EscapedPath(), sdk.RequestOf(r).Mount())
	raw, slash := strings.CutPrefix(raw, "/")
	name, err := url.PathUnescape(raw)
	switch {
	case !ok || !slash || err == nil && name == "":
		return "", sdk.NewError(sdk.CodeNameInvalid, "the lock's name is missing; put it behind the slash")
	case err != nil:
		return "", sdk.NewError(sdk.CodeNameInvalid, err.Error())
	case !utf8.ValidString(name):
		return "", sdk.NewError(sdk.CodeNameInvalid, "the lock's name is not UTF-8")
	case len(name) > maxName:
		return "", sdk.NewError(sdk.CodeNameInvalid, fmt.Sprintf("the lock's name has %d bytes; at most %d are allowed", len(name), maxName))
	}
	return name, nil
}

// params are the parameters of a request.
type params struct{ url.Values }

// query reads the parameters of the URL.
func query(r *http.Request) (params, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("the query can't be read: %v", err))
	}
	return params{v}, nil
}

// parameters reads those of the URL and of a form in the body, whatever the
// method. The body's come first, so they win.
func parameters(w http.ResponseWriter, r *http.Request) (params, error) {
	p, err := query(r)
	if err != nil {
		return p, err
	}
	body, err := form(w, r)
	var large *http.MaxBytesError
	var answer *sdk.Error
	switch {
	case errors.As(err, &large):
		return p, sdk.NewError(sdk.CodeTooLarge, fmt.Sprintf("the body has more than %d bytes", maxBody))
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
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if kind == "multipart/form-data" {
		parts, err := r.MultipartReader()
		if err != nil {
			return nil, err
		}
		f, err := parts.ReadForm(maxBody)
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

func (p params) get(key string) string { return p.Values.Get(key) }

// seconds reads a whole number of seconds from least to a year.
func (p params) seconds(key string, least int64, code sdk.Code) (time.Duration, error) {
	text := p.get(key)
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || int64(n) < least || int64(n) > maxSeconds {
		return 0, sdk.NewError(code, fmt.Sprintf("%s is %.100q; give whole seconds from %d to %d", key, text, least, maxSeconds))
	}
	return time.Duration(n) * time.Second, nil
}

func (p params) ttl() (time.Duration, error) {
	if !p.Has("ttl") {
		return 0, sdk.NewError(sdk.CodeTTLInvalid, fmt.Sprintf("ttl is missing; give whole seconds from 1 to %d", maxSeconds))
	}
	return p.seconds("ttl", 1, sdk.CodeTTLInvalid)
}

func (p params) timeout() (time.Duration, error) {
	if !p.Has("timeout") {
		return queue.Forever, nil
	}
	return p.seconds("timeout", 0, sdk.CodeTimeoutInvalid)
}

func (p params) value() (string, error) {
	v := p.get("value")
	switch {
	case len(v) > maxValue:
		return "", sdk.NewError(sdk.CodeTooLarge, fmt.Sprintf("the value has %d bytes; at most %d are allowed", len(v), maxValue))
	case !utf8.ValidString(v):
		return "", sdk.NewError(sdk.CodeValueInvalid, "the value is not UTF-8")
	}
	return v, nil
}

// target reads which entry is meant: index or value, and not both. An empty
// one counts as absent.
func (p params) target() (queue.Target, error) {
	index := p.get("index")
	value, err := p.value()
	switch {
	case err != nil:
		return queue.Target{}, err
	case index == "" && value == "":
		return queue.Target{}, sdk.NewError(sdk.CodeTargetRequired, "say which entry is meant: index=N or value=TEXT")
	case index != "" && value != "":
		return queue.Target{}, sdk.NewError(sdk.CodeTargetAmbiguous, "give index or value, not both")
	case index == "":
		return queue.Target{Value: value}, nil
	}
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil {
		return queue.Target{}, sdk.NewError(sdk.CodeIndexInvalid, fmt.Sprintf("index is %.100q; give the number that the grant was answered with", index))
	}
	if n == 0 { // no entry ever has it
		return queue.Target{}, sdk.NewError(sdk.CodeKeyNotFound, "index 0: no such entry in the line")
	}
	return queue.Target{Index: store.Revision(n)}, nil
}
