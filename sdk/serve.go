package sdk

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// Serve is the whole main of a plugin: it answers to the host until that ends
// the process, and never returns. Name says what the plugin is; the module's
// own name is [Env.Name].
//
// The config block of the module is decoded over defaults by the hcl tags of
// C. An attribute that may be left out is tagged "name,optional" and then keeps
// its default. Names that C does not have are errors. If C or *C has a method
//
//	Validate() error
//
// it is called afterwards; see [Invalid] for how to point at an attribute.
//
// New is called once, with a valid config. An error that it returns is shown
// as the reason why the module failed. The handler that it returns may also
// have a method
//
//	Close(ctx context.Context) error
//
// called when the module has been drained, before the store is closed.
func Serve[C any](name string, defaults C, New func(cfg C, env *Env) (http.Handler, error)) {
	handshake := wire.Handshake()
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		fmt.Fprintf(os.Stderr, "%s: this is a plugin of modhost and can't run by itself; put it into the host's "+
			"plugin_dir, add a block module %q { } to the config and run: modhost serve\n", os.Args[0], name)
		os.Exit(1)
	}
	// The host decides when a plugin ends. A signal to the whole process group
	// must not take it away under the host's requests.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)

	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true, Level: hclog.Info})
	p := NewPlugin(name, defaults, New, Options{
		Logger:    logger,
		OpenStore: openStore,
		OpenKeys:  openKeys,
		Exit:      func() { os.Exit(0) },
	})
	go wire.TrimIdle(context.Background())
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         wire.PluginSet(wire.NewServer(p, logger)),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, wire.ServerOptions()...)...)
		},
		Logger: logger,
	})
	os.Exit(0)
}

// openStore makes the driver that the host's config asks for, confined to the
// module's own prefix.
func openStore(c *wirepb.StoreConfig) (store.Store, error) {
	s, err := open(c, c.GetPrefix(), false)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openKeys makes one for the keys of others.
func openKeys(c *wirepb.StoreConfig) (store.Tree, error) {
	s, err := open(c, c.GetKeysPrefix(), true)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(c *wirepb.StoreConfig, prefix string, anyKey bool) (*etcdv2.Store, error) {
	if api := c.GetApi(); api != "v2" {
		return nil, fmt.Errorf("store: unknown api %q; this plugin knows \"v2\"", api)
	}
	return etcdv2.New(etcdv2.Config{
		Endpoints: c.GetEndpoints(),
		Prefix:    prefix,
		AnyKey:    anyKey,
		Username:  c.GetUsername(),
		Password:  c.GetPassword(),
		CAFile:    c.GetCaFile(),
		CertFile:  c.GetCertFile(),
		KeyFile:   c.GetKeyFile(),
	})
}
