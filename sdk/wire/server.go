package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A Server is the plugin's end of the wire contract.
type Server struct {
	wirepb.UnimplementedModuleServer
	plugin Plugin
	logger hclog.Logger
}

var _ wirepb.ModuleServer = (*Server)(nil)

// NewServer puts p on the wire. A handler's panic goes to logger.
func NewServer(p Plugin, logger hclog.Logger) *Server {
	return &Server{plugin: p, logger: logger}
}

// Info is the RPC of that name.
func (s *Server) Info(ctx context.Context, _ *wirepb.InfoRequest) (*wirepb.InfoResponse, error) {
	return s.plugin.Info(ctx)
}

// Configure is the RPC of that name.
func (s *Server) Configure(ctx context.Context, req *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	return s.plugin.Configure(ctx, req)
}

// Metrics is the RPC of that name.
func (s *Server) Metrics(ctx context.Context, _ *wirepb.MetricsRequest) (*wirepb.MetricsResponse, error) {
	text, err := s.plugin.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	return &wirepb.MetricsResponse{Text: text}, nil
}

// Close is the RPC of that name.
func (s *Server) Close(ctx context.Context, _ *wirepb.CloseRequest) (*wirepb.CloseResponse, error) {
	if err := s.plugin.Close(ctx); err != nil {
		return nil, err
	}
	return &wirepb.CloseResponse{}, nil
}

// Lifeline is the RPC of that name. It answers pings until the host is gone.
func (s *Server) Lifeline(stream wirepb.Module_LifelineServer) error {
	defer s.plugin.HostGone()
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		switch e := m.Event.(type) {
		case *wirepb.LifelineRequest_Ping:
			if err := stream.Send(&wirepb.LifelineResponse{Pong: e.Ping}); err != nil {
				return err
			}
		case *wirepb.LifelineRequest_Drain:
			reason := DrainStop
			if e.Drain.GetReason() == wirepb.Drain_REPLACE {
				reason = DrainReplace
			}
			s.plugin.Drain(Drain{reason, e.Drain.GetWhy(), time.Duration(e.Drain.GetDeadlineNanos())})
		case *wirepb.LifelineRequest_LogLevel:
			s.plugin.SetLogLevel(e.LogLevel.GetLevel())
		}
	}
}

// Serve is the RPC of that name: one HTTP exchange, answered by the plugin's
// ServeHTTP on this goroutine. A request may wait in there for hours, so what
// is needed before is in functions of its own: with a small frame here, in
// handle and in what they call, its stack stays half as large.
func (s *Server) Serve(stream wirepb.Module_ServeServer) error {
	x, r, err := s.open(stream)
	if err != nil {
		return err
	}
	defer x.answer.out.close()
	s.handle(x, r)
	return nil
}

// open receives the head of an exchange.
func (s *Server) open(stream wirepb.Module_ServeServer) (*Exchange, *http.Request, error) {
	first, err := stream.Recv()
	if err != nil {
		return nil, nil, err
	}
	head := first.GetHead()
	if head == nil {
		return nil, nil, status.Error(codes.InvalidArgument, "the first frame is no head")
	}
	out := &outbound{stream: stream}
	x := &Exchange{
		id:       head.GetRequestId(),
		mount:    head.GetMount(),
		attempt:  int(head.GetAttempt()),
		received: time.Now().Add(-time.Duration(head.GetWaitedNanos())),
		access: Access{
			ReadOnly: head.GetAccess().GetReadOnly(),
			User:     head.GetAccess().GetUser(),
			SignedIn: head.GetAccess().GetSignedIn(),
		},
	}
	ctx := context.WithValue(stream.Context(), contextKey{}, x)
	in := newInbound(ctx, stream, out.send)
	x.answer = &response{
		ctx: ctx, logger: s.logger, out: out, in: in,
		isHead: head.GetMethod() == http.MethodHead,
		header: make(http.Header),
	}
	r, err := newHTTPRequest(ctx, head, in)
	if err != nil {
		return nil, nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return x, r, nil
}

// handle runs the handler and ends the answer, also when it panics: the
// process has other requests to serve.
func (s *Server) handle(x *Exchange, r *http.Request) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			x.answer.fail(nil)
		default:
			s.logger.Error("handler panicked", append(LogFields(x.id, r.Header), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))...)
			x.answer.fail(NewError(CodeInternal, fmt.Sprintf("the module panicked; see the host's log for request %s", x.id)))
		}
	}()
	s.plugin.ServeHTTP(x.answer, r)
	x.answer.finish()
}

// newHTTPRequest makes the request that a server would have made of head.
func newHTTPRequest(ctx context.Context, head *wirepb.RequestHead, in *inbound) (*http.Request, error) {
	uri := string(head.GetUri())
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, err
	}
	major, minor, ok := http.ParseHTTPVersion(head.GetProto())
	if !ok {
		return nil, fmt.Errorf("malformed HTTP version %q", head.GetProto())
	}
	r := &http.Request{
		Method:        head.GetMethod(),
		URL:           u,
		Proto:         head.GetProto(),
		ProtoMajor:    major,
		ProtoMinor:    minor,
		Header:        make(http.Header, len(head.GetHeader())),
		Body:          http.NoBody,
		ContentLength: head.GetContentLength(),
		Host:          head.GetHost(),
		RemoteAddr:    head.GetRemoteAddr(),
		RequestURI:    uri,
	}
	addHeaders(r.Header, head.GetHeader())
	if head.GetTls() {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	if r.ContentLength != 0 {
		r.Body = body{in}
		in.waiting = expectsContinue(r.Header)
	}
	if len(head.GetTrailer()) > 0 {
		r.Trailer = make(http.Header)
		for _, name := range head.GetTrailer() {
			r.Trailer[name] = nil
		}
		in.trailer = r.Trailer
	}
	return r.WithContext(ctx), nil
}
