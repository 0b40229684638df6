package server

import (
	"net/http"
	"time"

	"github.com/etcd-modules/modhost/host/supervisor"
)

// A response is the ResponseWriter of one request together with what the
// log is going to say about it. Everything that net/http's own can do
// beyond Write and Flush is reached through Unwrap, by http.NewResponseController.
type response struct {
	http.ResponseWriter
	arrival supervisor.Arrival
	meter   Meter
	module  string
	status  int // 0 until the final head is written
	bytes   int64

	rules       *rules    // in force when it came
	until       time.Time // when the session ends that let it in; zero: none did
	trustworthy bool      // its origin, to browsers
	allowOrigin string    // Access-Control-Allow-Origin; "" is none
	varies      bool      // with Origin
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes the head on. The request id in it is ours, whatever the
// module has put there. It is not set before, nor are the headers that all
// answers have: a header map is a third of a KiB, which thousands of waiting
// requests need not have.
func (w *response) WriteHeader(status int) {
	w.Header().Set(requestIDHeader, w.arrival.RequestID)
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		secure(w.Header(), w.trustworthy)
		w.share(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts what went out.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError is for http.ResponseController, which would flush a head past
// WriteHeader.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}
