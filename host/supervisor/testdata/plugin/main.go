// Command plugin is what the supervisor's tests run: a module that tells what
// it was given and that misbehaves on request, at its start by its first
// argument and later by the path.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "exit":
		return
	case "exit-3":
		fmt.Fprintln(os.Stderr, "no luck today")
		os.Exit(3)
	case "killed":
		killed()
	case "panic":
		panic("at the start")
	case "rubbish":
		fmt.Println("Hello, <b>world</b>!")
		select {}
	case "silent":
		select {}
	case "protocol":
		fmt.Println("1|99|unix|/nowhere|grpc")
		select {}
	case "netrpc":
		fmt.Printf("1|%d|unix|/nowhere|netrpc\n", wire.ProtocolVersion)
		select {}
	case "child": // outlives us if nobody cares, and holds our stderr
		c := exec.Command("sleep", "300")
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			panic(err)
		}
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, JSONFormat: true, Output: os.Stderr})
	m := &module{mode: mode, logger: logger, drained: make(chan struct{})}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: wire.Handshake(),
		Plugins:         wire.PluginSet(wire.NewServer(m, logger)),
		Logger:          logger,
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, wire.ServerOptions()...)...)
		},
	})
}

// killed is how the kernel ends a process when memory runs out.
func killed() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL) //nolint:errcheck // then the test fails
	select {}
}

type module struct {
	mode    string
	logger  hclog.Logger
	request *wirepb.ConfigureRequest
	reason  wire.DrainReason
	waiting atomic.Int32 // requests to /wait that are marked
	drained chan struct{}
}

func (m *module) Info(context.Context) (*wirepb.InfoResponse, error) {
	return &wirepb.InfoResponse{Name: "test", Version: "v1.2.3"}, nil
}

func (m *module) Configure(ctx context.Context, r *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	m.request = r
	if m.mode == "config" {
		return &wirepb.ConfigureResponse{Diagnostics: []*wirepb.Diagnostic{
			{Severity: wirepb.Diagnostic_WARNING, Summary: "old name"},
			{Severity: wirepb.Diagnostic_ERROR, Summary: "unsupported argument", Detail: `did you mean "size"?`, Filename: "a.hcl", Line: 7, Column: 3},
			{Severity: wirepb.Diagnostic_ERROR, Summary: "second"},
		}}, nil
	}
	switch m.mode {
	case "die-in-configure":
		os.Exit(4)
	case "killed-in-configure":
		killed()
	case "hang-in-configure":
		select {}
	case "fail-beside": // a file, as long as that is there, and not when it only checks
		if _, err := os.Stat(os.Args[2]); err == nil && !r.GetCheckOnly() {
			return nil, errors.New("an obstacle is in the way")
		}
	}
	return &wirepb.ConfigureResponse{ResumableMethods: []string{http.MethodPatch}}, nil
}

func (m *module) Metrics(context.Context) ([]byte, error) { return nil, nil }

func (m *module) SetLogLevel(level string) { m.logger.SetLevel(hclog.LevelFromString(level)) }

func (m *module) Drain(d wire.Drain) {
	m.reason = d.Reason
	close(m.drained)
}

func (m *module) Close(context.Context) error {
	// In the log, which is whole to the end: what is only printed is passed on
	// by go-plugin and may get lost with its connection.
	m.logger.Info("closed in order")
	return nil
}

func (m *module) HostGone() { os.Exit(0) }

func (m *module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The supervisor's own tests leave the mount out.
	switch path := strings.TrimPrefix(r.URL.Path, m.request.GetMounts()[0]); {
	case path == "/tell":
		var ended []string
		for _, e := range m.request.GetEnded() {
			ended = append(ended, e.GetProcessId())
		}
		json.NewEncoder(w).Encode(map[string]any{ //nolint:errcheck
			"pid": os.Getpid(), "process": m.request.GetProcessId(), "ended": ended, "env": os.Environ(), "stdin": stdin(),
		})
	case path == "/crash":
		os.Exit(7)
	case path == "/crash-once": // the first process of the module only
		if len(m.request.GetEnded()) == 0 {
			os.Exit(7)
		}
	case path == "/crash-in-answer":
		fmt.Fprint(w, "half of ")
		http.NewResponseController(w).Flush() //nolint:errcheck
		os.Exit(7)
	case path == "/crash-after-answer":
		w.Header().Set("Content-Length", "4")
		fmt.Fprint(w, "done")
		http.NewResponseController(w).Flush() //nolint:errcheck
		os.Exit(7)
	case path == "/panic":
		done := make(chan struct{})
		go func() { panic("on request") }()
		<-done
	case path == "/print":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "to stderr")
	case path == "/access":
		x := wire.FromContext(r.Context())
		why, yes := x.ReadOnly()
		fmt.Fprintf(w, "%q %t %q %t", why, yes, x.User(), x.SignedIn())
	case path == "/wait": // resumable, until the process drains
		x := wire.FromContext(r.Context())
		if err := x.Resumable(); err != nil {
			panic(err)
		}
		if x.Attempt() > 0 {
			fmt.Fprintf(w, "resumed %s", x.RequestID())
			return
		}
		m.waiting.Add(1)
		select {
		case <-r.Context().Done():
		case <-m.drained:
			if m.reason == wire.DrainReplace {
				x.Handover() //nolint:errcheck
				return
			}
			wire.WriteError(w, wire.NewError(wire.CodeDraining, "leaving the line"))
		}
	case path == "/waiting":
		fmt.Fprint(w, m.waiting.Load())
	case path == "/finish": // not resumable; finishes what it has after the drain began
		<-m.drained
		fmt.Fprint(w, "finished")
	case path == "/read":
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	case path == "/stuck":
		select {}
	default:
		fmt.Fprintf(w, "%s %s", r.Method, strings.TrimPrefix(path, "/"))
	}
}

// stdin says what is at the other end of standard input.
func stdin() string {
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		return err.Error()
	}
	return name
}
