package wire

import (
	"context"
	"io"
	"iter"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// stub is a backend whose methods a test sets; those that it does not set are
// not called by it.
type stub struct {
	listProjects func(context.Context) iter.Seq2[string, error]
	listRuns     func(context.Context, string, trackio.ListOptions) iter.Seq2[trackio.RunInfo, error]
	getRun       func(context.Context, trackio.RunRef) (trackio.RunInfo, error)
	exportRun    func(context.Context, trackio.RunRef, trackio.ExportOptions) iter.Seq2[trackio.Record, error]
	importRun    func(context.Context, trackio.RunRef, iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error)
	deleteRun    func(context.Context, trackio.RunRef, trackio.DeleteOptions) error
}

func (s *stub) ListProjects(ctx context.Context) iter.Seq2[string, error] { return s.listProjects(ctx) }

func (s *stub) ListRuns(ctx context.Context, p string, o trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	return s.listRuns(ctx, p, o)
}

func (s *stub) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	return s.getRun(ctx, ref)
}

func (s *stub) ExportRun(ctx context.Context, ref trackio.RunRef, o trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	return s.exportRun(ctx, ref, o)
}

func (s *stub) ImportRun(ctx context.Context, ref trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	return s.importRun(ctx, ref, r)
}

func (s *stub) DeleteRun(ctx context.Context, ref trackio.RunRef, o trackio.DeleteOptions) error {
	return s.deleteRun(ctx, ref, o)
}

func (s *stub) Close() error { return nil }

// connect serves a service in memory and returns a client of it.
func connect(t *testing.T, service backendv1.BackendServiceServer, capabilities ...Capability) *Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(ServerOptions()...)
	backendv1.RegisterBackendServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:test", append(DialOptions(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
	})
	return NewClient(conn, capabilities)
}

// sequence yields records and then, when it is not nil, an error.
func sequence(err error, records ...trackio.Record) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// taken is what a test keeps of a stream: the records, media with their bytes.
type taken struct {
	records []trackio.Record
	bodies  map[string][]byte
}

func take(records iter.Seq2[trackio.Record, error]) (taken, error) {
	got := taken{bodies: map[string][]byte{}}
	for r, err := range records {
		if err != nil {
			return got, err
		}
		if m, ok := r.(*trackio.Media); ok && m.Body != nil {
			body, err := io.ReadAll(m.Body)
			if err != nil {
				return got, err
			}
			got.bodies[m.Path] = body
			m.Body = nil
		}
		got.records = append(got.records, r)
	}
	return got, nil
}

// zeros is an endless source of zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
