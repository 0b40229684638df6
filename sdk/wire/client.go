package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A Client is the host's end of the wire contract with one plugin process.
// Its methods are safe for concurrent use, once Configure has returned.
type Client struct {
	rpc       wirepb.ModuleClient
	metrics   bool     // the plugin answers Metrics; set by Info
	resumable []string // methods; set by Configure
}

// NewClient speaks to the plugin at the other end of cc, which should have
// been dialled with [DialOptions].
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{rpc: wirepb.NewModuleClient(cc)}
}

// Info asks the plugin who it is. ErrGone if it is gone.
func (c *Client) Info(ctx context.Context, hostVersion string) (*wirepb.InfoResponse, error) {
	resp, err := c.rpc.Info(ctx, &wirepb.InfoRequest{HostVersion: hostVersion})
	if err != nil {
		return nil, fmt.Errorf("info: %w", gone(ctx, err))
	}
	c.metrics = slices.Contains(resp.GetCapabilities(), CapabilityMetrics)
	return resp, nil
}

// Configure hands over the module's settings. What is wrong with them comes
// back as diagnostics. ErrGone if the plugin is gone.
func (c *Client) Configure(ctx context.Context, req *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	resp, err := c.rpc.Configure(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("configure: %w", gone(ctx, err))
	}
	c.resumable = resp.GetResumableMethods()
	return resp, nil
}

// Metrics returns what the module counts, in the Prometheus text format: empty
// if Info did not name [CapabilityMetrics]. ErrGone if the plugin is gone,
// ErrTooLarge if it answers more than [MaxMetrics].
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	if !c.metrics {
		return nil, nil
	}
	resp, err := c.rpc.Metrics(ctx, &wirepb.MetricsRequest{}, grpc.MaxCallRecvMsgSize(MaxMetrics))
	switch {
	case status.Code(err) == codes.ResourceExhausted:
		return nil, fmt.Errorf("metrics: %w: more than %d bytes", ErrTooLarge, MaxMetrics)
	case err != nil:
		return nil, fmt.Errorf("metrics: %w", gone(ctx, err))
	}
	return resp.GetText(), nil
}

// Close tells the plugin that nothing more will come. ErrGone if it is gone.
func (c *Client) Close(ctx context.Context) error {
	if _, err := c.rpc.Close(ctx, &wirepb.CloseRequest{}); err != nil {
		return fmt.Errorf("close: %w", gone(ctx, err))
	}
	return nil
}

// sooner is how much earlier than ours the plugin's timer may be.
const sooner = 250 * time.Millisecond

// gone turns an error of the transport into ErrGone, or into ctx's own if that
// is why it failed.
func gone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// gRPC tells the other side how long it has, which may end the call a moment
	// before our own timer does.
	if end, ok := ctx.Deadline(); ok && time.Until(end) < sooner {
		if code := status.Code(err); code == codes.Canceled || code == codes.DeadlineExceeded {
			return context.DeadlineExceeded
		}
	}
	if errors.Is(err, io.EOF) {
		return ErrGone
	}
	return fmt.Errorf("%w: %s", ErrGone, status.Convert(err).Message())
}

// Serve lets the plugin answer q. It returns nil when the answer is complete,
// also by its Content-Length alone; else
//
//   - ErrHandover: the plugin asks to give q to its successor,
//   - ErrGone: the process died or broke the exchange off,
//   - ErrAborted: the handler gave up in the middle,
//   - ErrBody: the client's body could not be read; its cause is wrapped, as
//     *http.MaxBytesError where a limit was hit,
//   - the request context's error: the client is gone or its time is up.
//
// After ErrHandover and ErrGone the caller may call Serve of another Client if
// q allows it; without that it returns ErrGone and asks nobody. Whatever the error, when q is answered nothing can repair the
// answer: panic(http.ErrAbortHandler).
func (c *Client) Serve(q *Request) error {
	if q.attempt > 0 && !q.fresh() {
		return fmt.Errorf("%w: what is left of the request can't be given to another", ErrGone)
	}
	q.resumable = q.resumable || slices.Contains(c.resumable, q.r.Method)
	if err := q.upload.prepare(q.r); err != nil {
		if cause := q.r.Context().Err(); cause != nil {
			err = cause
		}
		return q.failure(err)
	}
	// The client's leaving cancels the stream, and so the handler's context,
	// until the answer is complete; see flush.
	ctx, cancel := context.WithCancel(context.WithoutCancel(q.r.Context()))
	defer cancel()
	q.unhook = context.AfterFunc(q.r.Context(), cancel)
	defer q.unhook()
	// A retry buffer of no bytes: gRPC keeps nothing to send it again by
	// itself, behind the host's back and for as long as a request waits.
	stream, err := c.rpc.Serve(ctx, grpc.MaxRetryRPCBufferSize(0))
	if err != nil {
		return q.failure(gone(q.r.Context(), err))
	}
	a := &attempt{stream: stream, cancel: cancel, credit: Window}
	if expectsContinue(q.r.Header) {
		a.credit = 0
	}
	a.send(&wirepb.ServeRequest{Frame: &wirepb.ServeRequest_Head{Head: q.head()}}) //nolint:errcheck // Recv knows why
	q.upload.begin(a)
	err = q.receive(a)
	cancel() // frees a sender that waits in gRPC
	q.upload.end(a)
	if cause := q.upload.failed(); cause != nil && err != nil && q.r.Context().Err() == nil {
		err = cause
	}
	return q.failure(err)
}

// receive passes the answer on until it ends.
func (q *Request) receive(a *attempt) error {
	handover := false
	for {
		m, err := a.stream.Recv()
		if err != nil {
			left := q.r.Context().Err() != nil
			switch {
			case handover:
				return ErrHandover
			case left && q.answered:
				// It was its leaving that ended the stream, maybe between the
				// whole answer and its flush, which has failed then.
				q.mute()
			case q.answered && q.left == 0 && q.broken == nil:
				// The client has all that was announced, and may have sent the
				// next request on its connection: that must not be broken off.
				return nil
			}
			return gone(q.r.Context(), err)
		}
		switch f := m.Frame.(type) {
		case *wirepb.ServeResponse_Resumable:
			q.resumable = true
		case *wirepb.ServeResponse_Handover:
			q.resumable, handover = true, !q.answered
		case *wirepb.ServeResponse_Window:
			q.upload.grant(a, f.Window.GetBytes())
		case *wirepb.ServeResponse_Head:
			q.answer(f.Head)
		case *wirepb.ServeResponse_Data:
			err = q.write(f.Data)
		case *wirepb.ServeResponse_Flush:
			err = q.flush(a, f.Flush.GetSeq())
		case *wirepb.ServeResponse_End:
			if q.broken != nil {
				return q.broken
			}
			if f.End.GetAborted() {
				return ErrAborted
			}
			if !q.answered {
				return errNoHead
			}
			q.trailers(f.End.GetTrailer())
			a.stream.Recv() //nolint:errcheck // the end of the stream, which frees it
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errNoHead is how a plugin breaks the protocol.
var errNoHead = fmt.Errorf("%w: its answer has no head", ErrGone)

// answer passes a head on.
func (q *Request) answer(head *wirepb.ResponseHead) {
	if q.answered {
		return
	}
	code := int(head.GetStatus())
	if code < 100 || code > 999 || code == http.StatusSwitchingProtocols {
		code = http.StatusBadGateway // net/http would panic
	}
	headers := make(http.Header, len(head.GetHeader()))
	addHeaders(headers, head.GetHeader())
	h := q.w.Header()
	if code < 200 {
		q.interim(code, headers)
		return
	}
	for name, values := range headers {
		if name == "Vary" { // a list to which the host has its own to say
			values = append(h[name], values...)
		}
		h[name] = values
	}
	q.left = -1
	if n, err := strconv.ParseUint(headers.Get("Content-Length"), 10, 63); err == nil {
		q.left = int64(n)
	}
	if q.r.Method == http.MethodHead || !bodyAllowed(code) {
		q.left = 0
	}
	q.upload.commit()
	q.keepAlive()
	q.answered = true
	q.w.WriteHeader(code)
}

// interim passes a 1xx answer on, whose headers are its own.
func (q *Request) interim(code int, headers http.Header) {
	h := q.w.Header()
	saved := h.Clone()
	for name, values := range headers {
		h[name] = values
	}
	q.w.WriteHeader(code)
	for name := range headers {
		delete(h, name)
		if values, ok := saved[name]; ok {
			h[name] = values
		}
	}
}

func (q *Request) write(p []byte) error {
	if !q.answered {
		return errNoHead
	}
	if q.broken != nil {
		return nil
	}
	if q.left >= 0 {
		q.left = max(0, q.left-int64(len(p)))
	}
	_, err := q.w.Write(p)
	if err == nil || errors.Is(err, http.ErrContentLength) || errors.Is(err, http.ErrBodyNotAllowed) {
		return nil // the plugin's mistake, which the answer shows
	}
	if cause := q.r.Context().Err(); cause != nil {
		return cause
	}
	return fmt.Errorf("write to client: %w: %w", context.Canceled, err)
}

// flush hands everything so far to the client's connection and tells the
// plugin how that went. If more of the answer is to come, the context is asked
// again afterwards: a write to a connection that the client has left succeeds
// once more.
//
// A client that has the complete answer may leave at any time, and many leave
// at once. That is no failure, and neither may it cancel the stream and so
// overtake the result: a lock would be taken from a client that was given it.
//
// For the same reason nothing goes out after a flush that failed, and Serve
// returns an error: a client may have closed its side only, and still listen.
func (q *Request) flush(a *attempt, seq uint64) error {
	if !q.answered {
		return errNoHead
	}
	complete := q.left == 0
	if complete {
		q.unhook()
	}
	err := q.r.Context().Err()
	if err == nil {
		err = q.broken
	}
	if err == nil {
		err = q.control.Flush()
	}
	if err == nil && !complete {
		err = q.r.Context().Err()
	}
	result := &wirepb.FlushResult{Seq: seq}
	if err != nil {
		result.Error = strings.ToValidUTF8(err.Error(), "?")
	}
	a.send(&wirepb.ServeRequest{Frame: &wirepb.ServeRequest_Flushed{Flushed: result}}) //nolint:errcheck // Recv knows why
	if err != nil {
		q.broken = fmt.Errorf("flush to client: %w: %w", context.Canceled, err)
		q.mute()
	}
	return nil
}

// mute keeps net/http from sending what it holds when it closes the connection.
func (q *Request) mute() {
	q.control.SetWriteDeadline(time.Unix(1, 0)) //nolint:errcheck // then it can't send either
}

// trailers passes trailers on. The flush makes net/http choose an encoding
// that can carry them, should the plugin not have announced them.
func (q *Request) trailers(headers []*wirepb.Header) {
	trailer := make(http.Header, len(headers))
	addHeaders(trailer, headers)
	if len(trailer) == 0 {
		return
	}
	q.control.Flush() //nolint:errcheck // then there is nobody for trailers either
	for name, values := range trailer {
		if trailerAllowed(name) {
			q.w.Header()[http.TrailerPrefix+name] = values
		}
	}
}
