package wire

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// A Code is the errorCode of an error answer. Codes below 700 are etcd's own,
// as the original modules gave them; from 700 on they are modhost's.
type Code int

// The one table of error codes, used by the host and by modules. A third-party
// module may use codes from 800 on for its own errors.
const (
	CodeKeyNotFound     Code = 100 // 404: no such entry, index or value
	CodeTTLInvalid      Code = 202 // 400: ttl missing or out of range
	CodeIndexInvalid    Code = 203 // 400: index is no number
	CodeTimeoutInvalid  Code = 205 // 400: timeout is no number or out of range
	CodeNameRequired    Code = 206 // 400: leader's name missing
	CodeTargetRequired  Code = 207 // 400: neither index nor value given
	CodeTargetAmbiguous Code = 208 // 400: both index and value given
	CodeFieldInvalid    Code = 209 // 400: unknown field

	CodeNotObtained      Code = 700 // 423: somebody else holds it
	CodeEntryRemoved     Code = 701 // 410: the waiting entry was deleted or the grant ran out
	CodeStoreUnavailable Code = 702 // 503: etcd does not answer
	CodeDraining         Code = 703 // 503: the module or the host is ending
	CodeModuleStarting   Code = 704 // 503: no process is ready yet
	CodeModuleFailed     Code = 705 // 503: failed until its config changes
	CodeModuleDied       Code = 706 // 502: the plugin ended in mid-request
	CodeNoSuchRoute      Code = 707 // 404: no module is mounted there
	CodeModuleDisabled   Code = 708 // 404: switched off in the config
	CodeMethodNotAllowed Code = 709 // 405: see the Allow header
	CodeNameInvalid      Code = 710 // 400: lock name empty, too long or not UTF-8
	CodeValueInvalid     Code = 711 // 400: value not UTF-8
	CodeTooLarge         Code = 712 // 413: value or body too large
	CodeRequestInvalid   Code = 713 // 400: query or body can't be read
	CodeInternal         Code = 714 // 500: a defect of ours or of a module
	CodeTimedOut         Code = 715 // 503: request_timeout of the module's limits
	CodeBusy             Code = 716 // 429: the module's concurrency limit
	CodeUnauthorized     Code = 717 // 401: no or a wrong token
	CodeConfigRefused    Code = 718 // 422: the config has errors, nothing was changed
	CodeNoSuchModule     Code = 719 // 404: no module of that name in the config
	CodeReadOnly         Code = 720 // 403: only reading is allowed
	CodeCrossOrigin      Code = 721 // 403: a page of another origin may not do this
	CodeMisdirected      Code = 722 // 421: the name in Host is not the host's
	CodeTooManyTries     Code = 723 // 429: too many wrong tokens
	CodeChanged          Code = 725 // 409: what the request is about was changed by somebody else
)

// messages holds the fixed text of each code; those below 700 are etcd's.
func (c Code) message() string {
	switch c {
	case CodeKeyNotFound:
		return "Key not found"
	case CodeTTLInvalid:
		return "The given TTL in POST form is not a number"
	case CodeIndexInvalid:
		return "The given index in POST form is not a number"
	case CodeTimeoutInvalid:
		return "The given timeout in POST form is not a number"
	case CodeNameRequired:
		return "Name is required in POST form"
	case CodeTargetRequired:
		return "Index or value is required"
	case CodeTargetAmbiguous:
		return "Index and value cannot both be specified"
	case CodeFieldInvalid:
		return "Invalid field"
	case CodeNotObtained:
		return "Not obtained"
	case CodeEntryRemoved:
		return "Entry removed"
	case CodeStoreUnavailable:
		return "Store unavailable"
	case CodeDraining:
		return "Draining"
	case CodeModuleStarting:
		return "Module starting"
	case CodeModuleFailed:
		return "Module failed"
	case CodeModuleDied:
		return "Module died"
	case CodeNoSuchRoute:
		return "No such route"
	case CodeModuleDisabled:
		return "Module disabled"
	case CodeMethodNotAllowed:
		return "Method not allowed"
	case CodeNameInvalid:
		return "Invalid name"
	case CodeValueInvalid:
		return "Invalid value"
	case CodeTooLarge:
		return "Too large"
	case CodeRequestInvalid:
		return "Invalid request"
	case CodeInternal:
		return "Internal error"
	case CodeTimedOut:
		return "Timed out"
	case CodeBusy:
		return "Too many requests"
	case CodeUnauthorized:
		return "Unauthorized"
	case CodeConfigRefused:
		return "Config refused"
	case CodeNoSuchModule:
		return "No such module"
	case CodeReadOnly:
		return "Read-only"
	case CodeCrossOrigin:
		return "Cross-origin request refused"
	case CodeMisdirected:
		return "Misdirected request"
	case CodeTooManyTries:
		return "Too many tries"
	case CodeChanged:
		return "Changed meanwhile"
	}
	return "Error"
}

// status is the HTTP status that goes with the code.
func (c Code) status() int {
	switch c {
	case CodeKeyNotFound, CodeNoSuchRoute, CodeModuleDisabled, CodeNoSuchModule:
		return http.StatusNotFound
	case CodeTTLInvalid, CodeIndexInvalid, CodeTimeoutInvalid, CodeNameRequired, CodeTargetRequired,
		CodeTargetAmbiguous, CodeFieldInvalid, CodeNameInvalid, CodeValueInvalid, CodeRequestInvalid:
		return http.StatusBadRequest
	case CodeNotObtained:
		return http.StatusLocked
	case CodeEntryRemoved:
		return http.StatusGone
	case CodeStoreUnavailable, CodeDraining, CodeModuleStarting, CodeModuleFailed, CodeTimedOut:
		return http.StatusServiceUnavailable
	case CodeModuleDied:
		return http.StatusBadGateway
	case CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeBusy, CodeTooManyTries:
		return http.StatusTooManyRequests
	case CodeUnauthorized:
		return http.StatusUnauthorized
	case CodeConfigRefused:
		return http.StatusUnprocessableEntity
	case CodeReadOnly, CodeCrossOrigin:
		return http.StatusForbidden
	case CodeMisdirected:
		return http.StatusMisdirectedRequest
	case CodeChanged:
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// retryAfter is the Retry-After that goes with answers worth repeating.
func (c Code) retryAfter() string {
	switch c {
	case CodeStoreUnavailable, CodeDraining, CodeModuleStarting, CodeTimedOut, CodeBusy:
		return "1"
	case CodeModuleFailed:
		return "30"
	}
	return ""
}

// An Error is an error answer to a client, in etcd's own shape. It is an
// error, so a handler can return it through its own functions.
type Error struct {
	Code    Code   `json:"errorCode"`
	Message string `json:"message"` // the code's fixed text unless set
	Cause   string `json:"cause"`   // what this request got wrong, what to do now
	Index   uint64 `json:"index"`   // revision of the store where that helps, else 0

	// Status overrides the code's HTTP status; 0 leaves it.
	Status int `json:"-"`

	// Body is the whole of an error that was received, which may say more in
	// fields of its own; nil in one that is to be answered.
	Body []byte `json:"-"`
}

// NewError makes the answer for code with its fixed message and status.
func NewError(code Code, cause string) *Error {
	return &Error{Code: code, Message: code.message(), Cause: cause}
}

func (e *Error) Error() string { return e.Message + ": " + e.Cause }

// HTTPStatus returns the status that the answer is given with.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Code.status()
}

// WriteError answers with e. Headers set before, such as Allow, stay.
func WriteError(w http.ResponseWriter, e *Error) {
	if e.Message == "" {
		e = &Error{Code: e.Code, Message: e.Code.message(), Cause: e.Cause, Index: e.Index, Status: e.Status}
	}
	body, err := json.Marshal(e)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if s := e.Code.retryAfter(); s != "" && h.Get("Retry-After") == "" {
		h.Set("Retry-After", s)
	}
	w.WriteHeader(e.HTTPStatus())
	w.Write(body) //nolint:errcheck // the client is gone, nobody left to tell
}
