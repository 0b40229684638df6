package metrics

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// fakePlugin answers what it must.
type fakePlugin struct{ http.Handler }

func (fakePlugin) Info(context.Context) (*wirepb.InfoResponse, error) {
	return &wirepb.InfoResponse{Name: "fake"}, nil
}
func (fakePlugin) Configure(context.Context, *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	return nil, status.Error(codes.Code(777), "a code that does not exist")
}
func (fakePlugin) Drain(wire.Drain)                        {}
func (fakePlugin) SetLogLevel(string)                      {}
func (fakePlugin) Metrics(context.Context) ([]byte, error) { return nil, nil }
func (fakePlugin) Close(context.Context) error             { return nil }
func (fakePlugin) HostGone()                               {}

func TestMetrics_RPCsOverTheWire(t *testing.T) {
	p := newPage(t, nil)
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(wire.ServerOptions()...)
	entered := make(chan struct{}, 1)
	plugin := fakePlugin{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-r.Context().Done()
		}
	})}
	wirepb.RegisterModuleServer(server, wire.NewServer(plugin, hclog.NewNullLogger()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()
	conn, err := grpc.NewClient("passthrough:///plugin", append(append(wire.DialOptions(), p.DialOptions("lock")...),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // in memory
	client := wire.NewClient(conn)

	if _, err := client.Info(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Configure(t.Context(), &wirepb.ConfigureRequest{}); err == nil {
		t.Fatal("configured")
	}
	line, err := client.Lifeline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	serve := func(r *http.Request) {
		t.Helper()
		q := wire.NewRequest(httptest.NewRecorder(), r, "id", "/", time.Now())
		defer q.Close()
		client.Serve(q) //nolint:errcheck // one of them is broken off
	}
	serve(httptest.NewRequest("GET", "/", nil))
	serve(httptest.NewRequest("GET", "/", nil))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	serve(httptest.NewRequestWithContext(ctx, "GET", "/wait", nil))
	conn.Invoke(t.Context(), "/plugin.GRPCController/Shutdown", &wirepb.CloseRequest{}, &wirepb.CloseResponse{}) //nolint:errcheck // there is none
	line.Close()

	p.wants(
		`modhost_rpc_total{code="OK",method="Info",module="lock"} 1`+"\n",
		`modhost_rpc_total{code="Unknown",method="Configure",module="lock"} 1`+"\n",
		`modhost_rpc_total{code="OK",method="Serve",module="lock"} 2`+"\n",
		`modhost_rpc_total{code="Canceled",method="Serve",module="lock"} 1`+"\n",
		`modhost_rpc_total{code="Canceled",method="Lifeline",module="lock"} 1`+"\n",
		`modhost_rpc_duration_seconds_count{method="Serve",module="lock"} 3`+"\n",
		`!modhost_rpc_duration_seconds_count{method="Lifeline"`,
		`!modhost_rpc_total{code="Unimplemented"`,
	)
}
