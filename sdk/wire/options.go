package wire

import (
	"math"

	"google.golang.org/grpc"
)

// streamWindow is HTTP/2's window of one stream. It is larger than [Window] so
// that gRPC never holds back a request's body, behind which a FlushResult
// would wait: [Window] alone bounds what is under way.
const streamWindow = Window + MaxFrame

// connWindow lets several streams run at full speed on the one connection.
const connWindow = 8 << 20

// ServerOptions are the options for a plugin's gRPC server.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
	}
}

// DialOptions are the options for the host's connection to a plugin, beside
// those for address and credentials.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt32),
			grpc.MaxCallSendMsgSize(math.MaxInt32),
		),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithDisableRetry(),
	}
}
