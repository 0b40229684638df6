package metrics

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Began counts a request in that a module is about to get.
func (m *Metrics) Began(module string) { m.inFlight.WithLabelValues(module).Inc() }

// Ended counts a request that is over; module is "" for the host's own routes,
// which do not begin. Status 0 says that it was broken off.
func (m *Metrics) Ended(module, method string, status int, took time.Duration) {
	code := "aborted"
	if status != 0 {
		code = strconv.Itoa(status)
	}
	m.requests.WithLabelValues(module, methodOf(method), code).Inc()
	m.requestDuration.WithLabelValues(module, code).Observe(took.Seconds())
	if module != "" {
		m.inFlight.WithLabelValues(module).Dec()
	}
}

// methodOf keeps what clients make up out of the labels.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// codeOf keeps what a plugin makes up out of the labels.
func codeOf(err error) string {
	if code := status.Code(err); code <= codes.Unauthenticated { // the last there is
		return code.String()
	}
	return codes.Unknown.String()
}

const (
	rpcPrefix = "/modhost.v1.Module/"
	lifeline  = "Lifeline" // as long as its process
)

// DialOptions are for the connection to a process of a module: its RPCs are
// counted, but for those of go-plugin itself.
func (m *Metrics) DialOptions(module string) []grpc.DialOption {
	over := func(method string, began time.Time) func(error) {
		return func(err error) {
			m.rpcs.WithLabelValues(module, method, codeOf(err)).Inc()
			if method != lifeline {
				m.rpcDuration.WithLabelValues(module, method).Observe(time.Since(began).Seconds())
			}
		}
	}
	unary := func(ctx context.Context, path string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if method, ours := strings.CutPrefix(path, rpcPrefix); ours {
			opts = append(opts, grpc.OnFinish(over(method, time.Now())))
		}
		return invoke(ctx, path, req, reply, cc, opts...)
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, path string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if method, ours := strings.CutPrefix(path, rpcPrefix); ours {
			opts = append(opts, grpc.OnFinish(over(method, time.Now())))
		}
		return open(ctx, desc, cc, path, opts...)
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}
