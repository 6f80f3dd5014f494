// Package wire carries a [trackio.Backend] over the gRPC protocol
// trackio.backend.v1: [Server] serves one, [Client] is one.
//
// Both sides see ordinary Go values and errors. What is between them is made
// here: frames of about 256 KiB, checksums and the end frame of a stream, kinds
// of errors. Neither side holds more of a run in memory than a few frames.
package wire

import "google.golang.org/grpc"

// Protocol is the number of the protocol, which stands for its proto package.
const Protocol = 1

const (
	// frameSize is the size at which a batch or chunk is sent.
	frameSize = 256 << 10

	// MaxMessage is the largest message either side accepts: a frame is larger
	// than frameSize only when a single row is.
	MaxMessage = 256 << 20

	// maxRow leaves room for the frame around the largest row.
	maxRow = MaxMessage - 1<<20
)

// ServerOptions are the options of every server of this protocol.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.ChainUnaryInterceptor(gatherUnary), grpc.ChainStreamInterceptor(gatherStream),
	}
}

// DialOptions are the options of every connection to such a server.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithChainUnaryInterceptor(reportUnary), grpc.WithChainStreamInterceptor(reportStream),
	}
}
