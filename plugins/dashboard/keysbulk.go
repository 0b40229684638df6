package main

import (
	"encoding/json"
	"mime"
	"net/http"
	"path"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/keys"
	"github.com/etcd-modules/modhost/sdk"
)

// ndjson answers with one JSON text a line, each on its way at once.
type ndjson struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func newNDJSON(w http.ResponseWriter) *ndjson {
	return &ndjson{w: w, control: http.NewResponseController(w)}
}

func (l *ndjson) put(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !l.begun {
		l.begun = true
		h := l.w.Header()
		h.Set("Content-Type", "application/x-ndjson")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
	}
	_, err = l.w.Write(append(text, '\n'))
	return err
}

func (l *ndjson) flush(v any) error {
	if err := l.put(v); err != nil {
		return err
	}
	return l.control.Flush()
}

// end ends an answer that is begun with the error in a last line; another one is
// the error's.
func (l *ndjson) end(err error) error {
	if err == nil || !l.begun {
		return err
	}
	l.flush(struct { //nolint:errcheck // the client is gone, nobody left to tell
		Error *sdk.Error `json:"error"`
	}{asError(err)})
	return nil
}

func (a *keysArea) plan(w http.ResponseWriter, r *http.Request) error {
	var o struct {
		Items []keys.Item `json:"items"`
	}
	if err := order(r, &o); err != nil {
		return err
	}
	p, err := a.index.Plan(r.Context(), o.Items)
	if err != nil {
		return err
	}
	return answer(w, p)
}

func (a *keysArea) execute(w http.ResponseWriter, r *http.Request) error {
	var o struct {
		Plan  string `json:"plan"`
		Typed string `json:"typed"`
	}
	if err := order(r, &o); err != nil {
		return err
	}
	out := newNDJSON(w)
	outcome, err := a.index.Execute(r.Context(), o.Plan, o.Typed, func(p keys.Progress) {
		out.flush(p) //nolint:errcheck // its context ends when the client goes
	})
	if err == nil {
		a.note(r, "keys deleted", "deleted", outcome.Deleted, "failed", len(outcome.Failed)+outcome.MoreFailed, "typed", o.Typed)
		err = out.put(outcome)
	}
	return out.end(err)
}

func (a *keysArea) search(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	q := keys.Search{Text: query.Get("q"), How: query.Get("how")}
	switch query.Get("in") {
	case "value":
		q.Values = true
	case "name", "":
	default:
		return sdk.NewError(sdk.CodeRequestInvalid, "in is name or value")
	}
	var err error
	dir := query.Get("dir")
	if dir == "" {
		dir = "/"
	}
	if q.Dir, err = keys.ParseKey(dir); err != nil {
		return err
	}
	if q.Limit, err = number(query.Get("limit"), "limit", 1, 10000, 500); err != nil {
		return err
	}
	out := newNDJSON(w)
	end, err := a.index.Search(r.Context(), q, func(m keys.Match) {
		out.put(struct { //nolint:errcheck // its context ends when the client goes
			Match keys.Match `json:"match"`
		}{m})
	}, func(s keys.Searched) {
		out.flush(s) //nolint:errcheck // likewise
	})
	if err == nil {
		err = out.put(end)
	}
	return out.end(err)
}

func (a *keysArea) export(w http.ResponseWriter, r *http.Request) error {
	dir, err := keys.ParseKey(r.URL.Query().Get("dir"))
	if err != nil {
		return err
	}
	name := "etcd.ndjson"
	if dir != "" {
		name = path.Base(dir) + ".ndjson"
	}
	out := newNDJSON(w)
	err = a.index.Export(r.Context(), dir, func(line any) error {
		if !out.begun {
			w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		}
		return out.put(line)
	})
	return out.end(err)
}

// imports reads the body of an import.
func imports(r *http.Request) ([]keys.Import, error) {
	var o struct {
		Entries []keys.Import `json:"entries"`
	}
	err := order(r, &o)
	return o.Entries, err
}

// A resultsAnswer has one for each entry of the order, in its order.
type resultsAnswer struct {
	Rows []keys.Result `json:"rows"`
}

func (a *keysArea) compare(w http.ResponseWriter, r *http.Request) error {
	all, err := imports(r)
	if err != nil {
		return err
	}
	rows, err := a.index.Compare(r.Context(), all)
	if err != nil {
		return err
	}
	return answer(w, resultsAnswer{rows})
}

func (a *keysArea) write(w http.ResponseWriter, r *http.Request) error {
	all, err := imports(r)
	if err != nil {
		return err
	}
	rows, err := a.index.Write(r.Context(), all)
	if err != nil {
		return err
	}
	a.note(r, "keys imported", "entries", len(rows))
	return answer(w, resultsAnswer{rows})
}

func (a *keysArea) past(w http.ResponseWriter, r *http.Request) error {
	key, err := keys.ParseKey(r.URL.Query().Get("key"))
	if err != nil {
		return err
	}
	return answer(w, a.index.Past(key))
}
