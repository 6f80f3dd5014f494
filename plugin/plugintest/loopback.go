// Package plugintest lets the author of a backend test it the way trackio uses
// it, over gRPC, without a process of its own.
package plugintest

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/plugin/internal/wire"
	"github.com/trackio-go/trackio/trackio"
)

// Loopback returns a backend that reaches the given one over the real protocol
// and a connection in memory. It has the capabilities of the given one, found
// with [trackio.As], and no others. Closing it closes the given one; the end of
// the test closes what was left open.
func Loopback(tb testing.TB, backend trackio.Backend) trackio.Backend {
	tb.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(wire.ServerOptions()...)
	backendv1.RegisterBackendServiceServer(server, wire.NewServer(backend))
	served := make(chan struct{})
	go func() {
		defer close(served)
		// Serve ends with the listener; calls then fail, and the test sees them.
		_ = server.Serve(listener)
	}()
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	conn, err := grpc.NewClient("passthrough:loopback", append(wire.DialOptions(),
		grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		tb.Fatalf("connecting to the backend: %v", err)
	}
	client := wire.NewClient(conn, wire.CapabilitiesOf(backend))
	tb.Cleanup(func() {
		if err := client.Close(); err != nil {
			tb.Errorf("closing the backend: %v", err)
		}
		if err := conn.Close(); err != nil {
			tb.Errorf("closing the connection: %v", err)
		}
		server.Stop()
		<-served
	})
	return client
}
