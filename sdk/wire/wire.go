package wire

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

const (
	// ProtocolVersion is go-plugin's number for the proto package modhost.v1.
	ProtocolVersion = 1

	// PluginName is the name under which a plugin serves the contract.
	PluginName = "module"

	// MaxFrame is the largest number of body bytes in one frame.
	MaxFrame = 256 << 10

	// Window is the number of body bytes that the host may send before the
	// plugin grants more: what a plugin must be able to hold per exchange.
	Window = 512 << 10

	// ReplayLimit is the number of body bytes that the host keeps until the
	// answer begins, so that a request can be given to a next process.
	ReplayLimit = 256 << 10

	// MaxMetrics is the largest answer to Metrics, in bytes on the wire.
	MaxMetrics = 4 << 20
)

// Errors of [Client], compared with errors.Is.
var (
	// ErrGone says that the connection to the plugin broke or that it ended
	// an exchange without an answer: its process is dead or as good as that.
	ErrGone = errors.New("plugin gone")

	// ErrHandover is returned by Client.Serve when the plugin, draining for
	// its successor, asks that the next process gets the request.
	ErrHandover = errors.New("request handed over")

	// ErrAborted is returned by Client.Serve when the handler gave up in the
	// middle of an answer. Part of it went out, so the client's connection
	// has to be broken off: panic(http.ErrAbortHandler).
	ErrAborted = errors.New("answer aborted")

	// ErrBody is returned by Client.Serve, around its cause, when the
	// request's body could not be read to its end. Nothing more is sent.
	ErrBody = errors.New("request body can't be read")

	// ErrTooLarge is returned by Client.Metrics for an answer that is longer
	// than MaxMetrics.
	ErrTooLarge = errors.New("answer too large")
)

// A DrainReason says why a process is drained.
type DrainReason int

const (
	// DrainStop: the module was disabled or the host ends. Requests that
	// wait should be answered at once.
	DrainStop DrainReason = iota + 1

	// DrainReplace: a successor is ready. Requests marked resumable should
	// be handed over.
	DrainReplace
)

func (r DrainReason) String() string {
	switch r {
	case DrainStop:
		return "stop"
	case DrainReplace:
		return "replace"
	}
	return "none"
}

// A Drain tells a process to finish what it has in flight.
type Drain struct {
	Reason DrainReason
	Why    string        // for people, such as: module "lock" was disabled
	Left   time.Duration // until the process is ended
}

// CapabilityMetrics among those of Info says that the plugin answers Metrics.
const CapabilityMetrics = "metrics"

// A Plugin is what a plugin process provides; [NewServer] puts it on the wire.
// Methods may be called concurrently.
type Plugin interface {
	// Info says who the plugin is. Called before Configure.
	Info(ctx context.Context) (*wirepb.InfoResponse, error)

	// Configure takes the module's settings, once per process unless
	// check_only is set. A complaint of the user's making is a diagnostic in
	// the response, not an error.
	Configure(ctx context.Context, req *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error)

	// ServeHTTP answers requests after a successful Configure.
	http.Handler

	// Drain is called when the host wants the process to finish what it has
	// in flight. It returns at once.
	Drain(d Drain)

	// SetLogLevel says what to log from now on: trace, debug, info, warn or
	// error. It returns at once.
	SetLogLevel(level string)

	// Metrics returns what the module counts, in the Prometheus text format.
	Metrics(ctx context.Context) ([]byte, error)

	// Close is the last call of an orderly end.
	Close(ctx context.Context) error

	// HostGone is called when the lifeline ends, whether the host closed it
	// after Close or died: nobody is left to serve, end the process.
	HostGone()
}
