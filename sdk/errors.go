package sdk

import (
	"context"
	"errors"
	"net/http"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// An Error is an error answer in the one JSON shape of the host and all
// modules. It is an error, so a handler's functions can return it.
type Error = wire.Error

// A Code is the errorCode of an [Error]. Third-party modules may use codes
// from 800 on for their own.
type Code = wire.Code

// The codes, see package wire for their HTTP statuses.
const (
	CodeKeyNotFound      = wire.CodeKeyNotFound
	CodeTTLInvalid       = wire.CodeTTLInvalid
	CodeIndexInvalid     = wire.CodeIndexInvalid
	CodeTimeoutInvalid   = wire.CodeTimeoutInvalid
	CodeNameRequired     = wire.CodeNameRequired
	CodeTargetRequired   = wire.CodeTargetRequired
	CodeTargetAmbiguous  = wire.CodeTargetAmbiguous
	CodeFieldInvalid     = wire.CodeFieldInvalid
	CodeNotObtained      = wire.CodeNotObtained
	CodeEntryRemoved     = wire.CodeEntryRemoved
	CodeStoreUnavailable = wire.CodeStoreUnavailable
	CodeDraining         = wire.CodeDraining
	CodeModuleStarting   = wire.CodeModuleStarting
	CodeModuleFailed     = wire.CodeModuleFailed
	CodeModuleDied       = wire.CodeModuleDied
	CodeNoSuchRoute      = wire.CodeNoSuchRoute
	CodeModuleDisabled   = wire.CodeModuleDisabled
	CodeMethodNotAllowed = wire.CodeMethodNotAllowed
	CodeNameInvalid      = wire.CodeNameInvalid
	CodeValueInvalid     = wire.CodeValueInvalid
	CodeTooLarge         = wire.CodeTooLarge
	CodeRequestInvalid   = wire.CodeRequestInvalid
	CodeInternal         = wire.CodeInternal
	CodeTimedOut         = wire.CodeTimedOut
	CodeBusy             = wire.CodeBusy
	CodeReadOnly         = wire.CodeReadOnly
	CodeChanged          = wire.CodeChanged
	CodeCrossOrigin      = wire.CodeCrossOrigin
)

// NewError makes the answer for code with its fixed message and status. Cause
// says what this request got wrong and what to do now.
func NewError(code Code, cause string) *Error { return wire.NewError(code, cause) }

// WriteError answers with e. Headers set before, such as Allow, stay.
func WriteError(w http.ResponseWriter, e *Error) { wire.WriteError(w, e) }

// StoreError makes the answer for an error of [Env.Store]: 404 for
// store.ErrNotFound, 503 for store.ErrUnavailable and a call that took too
// long, 400 for store.ErrInvalid, else 500, whose cause is for the log only.
func StoreError(err error) *Error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return NewError(CodeKeyNotFound, err.Error())
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return NewError(CodeStoreUnavailable, err.Error()+"; try again")
	case errors.Is(err, store.ErrInvalid):
		return NewError(CodeRequestInvalid, err.Error())
	}
	return NewError(CodeInternal, "the module failed; its log says why")
}

// An Exchange is what the host tells about a request beside HTTP, and the way
// to let a request outlive the process. All methods work on nil, as outside a
// host: a nil Exchange knows nothing and can't be resumed.
type Exchange = wire.Exchange

// Access is what the host knows of who sends a request; see
// [Exchange.ReadOnly], [Exchange.User] and [Exchange.SignedIn].
type Access = wire.Access

// RequestOf returns the exchange that r belongs to, nil outside a host.
func RequestOf(r *http.Request) *Exchange { return wire.FromContext(r.Context()) }
