package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/server/v3/embed"
)

// abandonTime is how long a start that is broken off may take to clean up.
const abandonTime = 10 * time.Second

// Options say where an embedded etcd keeps its data and listens.
type Options struct {
	Dir    string       // the host's data folder, made if missing; etcd's data is in Dir/etcd
	Listen string       // IP or localhost, and port; port 0 picks one
	Logger hclog.Logger // nil: no logs
}

// Server is a running embedded etcd. Its methods are safe for concurrent use.
type Server struct {
	etcd     *embed.Etcd
	endpoint string
	lock     *lock
	sockets  string // private folder of the peer socket; "" if it is in Dir
	failures *failures
	logger   hclog.Logger

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
	closed    chan struct{} // closed when everything has ended
}

// Start returns when etcd answers, or with an error; when ctx ends it returns
// as soon as what had begun is taken back, ten seconds later at the latest.
// Errors that the user mends in the config are a [StartError].
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if err := makeDirs(o.Dir); err != nil {
		return nil, err
	}
	l, err := takeLock(o.Dir)
	if err != nil {
		return nil, err
	}
	socket, private, err := socketPath(o.Dir)
	if err != nil {
		l.release()
		return nil, err
	}
	s := &Server{lock: l, sockets: private, logger: o.Logger, closing: make(chan struct{}), closed: make(chan struct{})}
	if err := s.boot(ctx, o, socket); err != nil {
		return nil, explain(err, o)
	}
	go s.watch()
	return s, nil
}

// boot starts etcd, on another port if a picked one was taken meanwhile. When
// it fails it gives back what Start took.
func (s *Server) boot(ctx context.Context, o Options, socket string) error {
	for try := 1; ; try++ {
		addr, err := freeAddress(o.Listen)
		if err != nil {
			s.release()
			return err
		}
		s.failures = newFailures()
		e, ended, err := launch(ctx, settings(o, addr, socket, s.failures), s.failures)
		if err == nil {
			s.etcd, s.endpoint = e, "http://"+reachable(addr)
			return nil
		}
		picked := addr != o.Listen
		if picked && try < 3 && errors.Is(err, syscall.EADDRINUSE) {
			<-ended
			continue
		}
		if ctx.Err() != nil {
			// It goes on for a moment; who ends in an orderly way wants
			// no files written after it.
			select {
			case <-ended:
			case <-time.After(abandonTime):
			}
		}
		select {
		case <-ended:
			s.release()
		default:
			// Stuck, or busy with a start that nobody waits for: the
			// folder stays ours as long as etcd may write there.
			go func() { <-ended; s.release() }()
		}
		return err
	}
}

// launch starts etcd and waits until it serves. With an error it returns a
// channel that is closed when etcd has let go of its files and port, which
// may be never: etcd has steps that take no context.
func launch(ctx context.Context, cfg *embed.Config, f *failures) (*embed.Etcd, <-chan struct{}, error) {
	var e *embed.Etcd // e and startErr are set when started is closed
	var startErr error
	started, gone := make(chan struct{}), make(chan struct{})
	go func() {
		// Deferred, because etcd reports damaged data by a panic, or by a
		// fatal log line, whose hook ends this goroutine.
		defer close(started)
		defer func() {
			if p := recover(); p != nil {
				f.add(fatal{fmt.Sprint(p), nil})
			}
		}()
		e, startErr = embed.StartEtcd(cfg)
	}()
	abandon := func(err error) (*embed.Etcd, <-chan struct{}, error) {
		f.ending.Store(true)
		go func() {
			defer close(gone)
			if <-started; e != nil {
				e.Close()
			}
		}()
		return nil, gone, err
	}
	select {
	case <-started:
	case <-f.failed:
		return abandon(f.first())
	case <-ctx.Done():
		return abandon(fmt.Errorf("no answer in time: %w", context.Cause(ctx)))
	}
	switch {
	case f.first() != nil:
		return abandon(f.first())
	case startErr != nil:
		close(gone)
		return nil, gone, startErr
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil, nil
	case err := <-e.Err():
		return abandon(err)
	case <-f.failed:
		return abandon(f.first())
	case <-ctx.Done():
		return abandon(fmt.Errorf("no answer in time: %w", context.Cause(ctx)))
	}
}

// watch turns every way in which etcd can end into one failure.
func (s *Server) watch() {
	select {
	case err := <-s.etcd.Err():
		s.failures.add(err)
	case <-s.etcd.Server.StopNotify():
		s.failures.add(errors.New("etcd stopped by itself"))
	case <-s.closing:
	}
}

// Endpoints returns the URLs at which etcd serves its clients; one of them.
func (s *Server) Endpoints() []string { return []string{s.endpoint} }

// Failed is closed when etcd has ended other than by Close; Err says why.
func (s *Server) Failed() <-chan struct{} { return s.failures.failed }

// Err returns why etcd failed, or nil.
func (s *Server) Err() error {
	if err := s.failures.first(); err != nil {
		return fmt.Errorf("embedded etcd: %w", err)
	}
	return nil
}

// Close ends etcd in an orderly way and gives the folder back. It returns an
// error if that takes longer than ctx. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	s.closeOnce.Do(func() {
		s.failures.ending.Store(true)
		close(s.closing)
		go func() {
			defer close(s.closed)
			s.etcd.Close()
			s.release()
		}()
	})
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close etcd: %w", context.Cause(ctx))
	}
}

// release gives back what Start took before etcd.
func (s *Server) release() {
	s.lock.release()
	if s.sockets != "" {
		os.RemoveAll(s.sockets)
	}
}

// settings are etcd's own.
func settings(o Options, addr, socket string, f *failures) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "modhost"
	cfg.Dir = dataDir(o.Dir)
	cfg.EnableV2 = true
	client := url.URL{Scheme: "http", Host: addr}
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: reachable(addr)}}
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: socket}}
	// Never dialled: the one member has no peers. It is part of the
	// member's identity in the data, so it must stay the same.
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "modhost-peer:0"}}
	cfg.InitialCluster = "modhost=http://modhost-peer:0"
	// The entries since the last snapshot are held in memory and replayed
	// at the next start; etcd's default of 100,000 is for large clusters.
	cfg.SnapshotCount = 10000
	guard(cfg, addr)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(o.Logger, f))
	return cfg
}

// guard keeps web pages in a browser on this machine away from etcd, which by
// default lets every origin read and write.
func guard(cfg *embed.Config, addr string) {
	cfg.CORS = map[string]struct{}{"none": {}} // empty would mean all
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		cfg.HostWhitelist = map[string]struct{}{"localhost": {}, "127.0.0.1": {}, "::1": {}, host: {}}
	}
}

// dataDir is etcd's own folder in the host's.
func dataDir(dir string) string { return filepath.Join(dir, "etcd") }

// freeAddress returns addr with a free port for 0, and an error if addr
// cannot be listened on. etcd would tell its clients the port 0.
func freeAddress(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	defer l.Close()
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return addr, err
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port), err
}

// reachable returns the address at which a client on this machine finds
// addr, which may stand for all interfaces.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
