package main

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/keys"
	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A ttlOrder is "keep" or a number of seconds, 0 for ever.
type ttlOrder keys.TTL

func (t *ttlOrder) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte(`"keep"`)) {
		*t = ttlOrder{Keep: true}
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return errors.New(`ttl must be "keep" or a whole number of seconds`)
	}
	*t = ttlOrder{Seconds: n}
	return nil
}

// A keyOrder is any of the orders about one key. An order that has no use for a
// field ignores it.
type keyOrder struct {
	Key      string         `json:"key"`
	Value    string         `json:"value"`
	Modified store.Revision `json:"modified,string"`
	TTL      *ttlOrder      `json:"ttl"`
}

// ttl is what is asked for; without a word that is for ever.
func (o *keyOrder) ttl() keys.TTL {
	if o.TTL == nil {
		return keys.TTL{}
	}
	return keys.TTL(*o.TTL)
}

// A nodeAnswer has the node as it was written; nothing after a delete.
type nodeAnswer struct {
	Node *keys.Node `json:"node,omitempty"`
}

func readOrder(r *http.Request) (o keyOrder, key string, err error) {
	if err := order(r, &o); err != nil {
		return o, "", err
	}
	key, err = keys.ParseKey(o.Key)
	return o, key, err
}

// note writes to the log what r has changed, and who sent it. Values are
// nobody's business.
func (a *keysArea) note(r *http.Request, message string, fields ...any) {
	sdk.LoggerOf(r, a.d.env.Logger).Info(message, append(fields, "by", who(r))...)
}

func (a *keysArea) save(w http.ResponseWriter, r *http.Request) error {
	o, key, err := readOrder(r)
	if err != nil {
		return err
	}
	if o.TTL == nil { // an edit that makes a key permanent without a word is what etcd's own API does
		return sdk.NewError(sdk.CodeRequestInvalid, `say what becomes of the TTL: "ttl" is "keep", or seconds, 0 for ever`)
	}
	n, err := a.index.Save(r.Context(), key, o.Value, o.Modified, o.ttl())
	if err != nil {
		return err
	}
	a.note(r, "key saved", "key", o.Key)
	return answer(w, nodeAnswer{n})
}

func (a *keysArea) create(w http.ResponseWriter, r *http.Request) error {
	o, key, err := readOrder(r)
	if err != nil {
		return err
	}
	n, err := a.index.Create(r.Context(), key, o.Value, o.ttl())
	if err != nil {
		return err
	}
	a.note(r, "key created", "key", o.Key)
	return answer(w, nodeAnswer{n})
}

func (a *keysArea) makeDir(w http.ResponseWriter, r *http.Request) error {
	o, key, err := readOrder(r)
	if err != nil {
		return err
	}
	n, err := a.index.MakeDir(r.Context(), key, o.ttl())
	if err != nil {
		return err
	}
	a.note(r, "directory made", "key", o.Key)
	return answer(w, nodeAnswer{n})
}

func (a *keysArea) remove(w http.ResponseWriter, r *http.Request) error {
	o, key, err := readOrder(r)
	if err != nil {
		return err
	}
	if err := a.index.Delete(r.Context(), key, o.Modified); err != nil {
		return err
	}
	a.note(r, "key deleted", "key", o.Key)
	return answer(w, nodeAnswer{})
}

// told answers those errors that say more than all do: how the key stands now,
// or that nobody knows what has become of the order.
func told(w http.ResponseWriter, err error) error {
	var conflict *keys.ConflictError
	var unknown *keys.UnknownError
	switch {
	case errors.As(err, &conflict):
		return writeErrorWith(w, sdk.NewError(sdk.CodeChanged, conflict.Why), map[string]any{"current": conflict.Current})
	case errors.As(err, &unknown):
		return writeErrorWith(w, sdk.NewError(sdk.CodeStoreUnavailable, unknown.Error()), map[string]any{"outcome": "unknown"})
	}
	return err
}
