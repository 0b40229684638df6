package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// handle makes a handler of a function that answers, or returns why it can't.
func handle(logger hclog.Logger, f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // the client is gone, there is nobody to answer
		}
		answer := asError(err)
		if answer.Code == sdk.CodeInternal {
			sdk.LoggerOf(r, logger).Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		sdk.WriteError(w, answer)
	}
}

// asError is what a browser is told of err.
func asError(err error) *sdk.Error {
	var answer *sdk.Error
	switch {
	case errors.As(err, &answer):
		return answer
	case errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrExists):
		return sdk.NewError(sdk.CodeChanged, err.Error())
	case errors.Is(err, queue.ErrNotInLine):
		return sdk.NewError(sdk.CodeKeyNotFound, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.NewError(sdk.CodeStoreUnavailable, err.Error())
	}
	return sdk.StoreError(err)
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	send(w, http.StatusOK, body)
	return nil
}

// send answers with JSON that nobody keeps.
func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) //nolint:errcheck // the client is gone, nobody left to tell
}

// writeErrorWith answers with e and members that errors do not have in general.
func writeErrorWith(w http.ResponseWriter, e *sdk.Error, more map[string]any) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	rest, err := json.Marshal(more)
	if err != nil {
		return err
	}
	send(w, e.HTTPStatus(), append(append(body[:len(body)-1], ','), rest[1:]...))
	return nil
}

// order reads the JSON of an order into v. Names that v does not have are errors.
func order(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("the body is no order that the dashboard knows: %v", err))
	}
	return nil
}
