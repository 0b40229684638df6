package sdktest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/internal/pipes"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// drainTime is how long a process may take to finish what it has in flight.
const drainTime = 10 * time.Second

// process stands for a plugin process and the host's connection to it.
type process struct {
	id       string
	logger   hclog.Logger
	store    *memory.Store // this process's view
	plugin   wire.Plugin
	server   *grpc.Server
	served   chan struct{} // closed when server has ended
	conn     *grpc.ClientConn
	client   *wire.Client
	lifeline *wire.Lifeline
}

// listen puts the plugin on the wire.
func (p *process) listen() {
	l := pipes.Listen()
	p.server = grpc.NewServer(append(wire.ServerOptions(), grpc.WaitForHandlers(true))...)
	wirepb.RegisterModuleServer(p.server, wire.NewServer(p.plugin, p.logger))
	p.served = make(chan struct{})
	go func() { // kill waits for it
		defer close(p.served)
		p.server.Serve(l) //nolint:errcheck // it was stopped
	}()
	conn, err := grpc.NewClient("passthrough:///module", append(wire.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.Dial(ctx) }),
	)...)
	if err != nil {
		panic(err) // no option of ours is wrong
	}
	p.conn, p.client = conn, wire.NewClient(conn)
}

func (p *process) configure(t testing.TB, id string, ended []string) {
	t.Helper()
	p.id = id
	if _, err := p.client.Info(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	lifeline, err := p.client.Lifeline(context.Background())
	if err != nil {
		t.Fatalf("lifeline: %v", err)
	}
	p.lifeline = lifeline
	req := &wirepb.ConfigureRequest{Module: "test", Mounts: []string{"/mod/test"}, ProcessId: id, LogLevel: "debug"}
	for _, id := range ended {
		req.Ended = append(req.Ended, &wirepb.EndedProcess{ProcessId: id})
	}
	resp, err := p.client.Configure(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range resp.GetDiagnostics() {
		if d.GetSeverity() == wirepb.Diagnostic_ERROR {
			p.kill()
			t.Fatalf("configure: %s: %s", d.GetSummary(), d.GetDetail())
		}
	}
}

func (p *process) drain(t testing.TB, reason sdk.DrainReason) {
	t.Helper()
	if err := p.lifeline.Drain(wire.Drain{Reason: reason, Why: "the test drains the module", Left: drainTime}); err != nil {
		t.Errorf("drain: %v", err)
	}
	// The answer to a ping comes after the drain that was sent before it.
	if err := p.lifeline.Ping(context.Background()); err != nil {
		t.Errorf("drain: %v", err)
	}
}

// close lets the requests in flight end, then the module.
func (p *process) close(t testing.TB) {
	t.Helper()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		p.server.GracefulStop() // refuses new streams, waits for the others
	}()
	p.lifeline.Close() // a stream as well
	timeout := time.NewTimer(drainTime)
	defer timeout.Stop()
	select {
	case <-drained:
	case <-timeout.C:
		p.server.Stop()
		<-drained
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := p.plugin.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	p.kill()
}

// crash ends the process as SIGKILL would, as far as anybody can tell. What
// still runs of it is let go of afterwards, so that no goroutine is left.
func (p *process) crash() {
	p.store.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
	p.kill()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	p.plugin.Close(over) //nolint:errcheck // it can't clear anything away any more
}

func (p *process) kill() {
	p.server.Stop()
	p.lifeline.Close()
	p.conn.Close() //nolint:errcheck // in memory
	<-p.served
}
