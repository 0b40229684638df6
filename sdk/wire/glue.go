package wire

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// Handshake is how host and plugin recognise each other: a program that lacks
// the cookie in its environment was not started by a host.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  ProtocolVersion,
		MagicCookieKey:   "MODHOST_PLUGIN",
		MagicCookieValue: "modhost.v1",
	}
}

// PluginSet is go-plugin's table of what can be dispensed: [PluginName], which
// is a [*Client] on the host. The host passes nil.
func PluginSet(s *Server) plugin.PluginSet {
	return plugin.PluginSet{PluginName: &glue{server: s}}
}

// glue is the wire contract in the form in which go-plugin takes it.
type glue struct {
	plugin.NetRPCUnsupportedPlugin
	server *Server
}

var _ plugin.GRPCPlugin = (*glue)(nil)

func (g *glue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	wirepb.RegisterModuleServer(s, g.server)
	return nil
}

// GRPCClient leaves ctx, which go-plugin cancels when the process has ended:
// the lifeline says the same, and says it for plugins without go-plugin too.
func (g *glue) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return NewClient(cc), nil
}
