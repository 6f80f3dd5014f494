package plugin

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
)

// handwrittenPrefix begins the names under which the test binary is a backend that
// was written without this package, in whatever language, and not well. The rest
// of the name says what is wrong.
const handwrittenPrefix = "handwritten "

// serveHandwritten serves the protocol with bare gRPC: no life line, no shutdown,
// no certificates.
func serveHandwritten(fault string) error {
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	time.AfterFunc(20*time.Second, func() { os.Exit(3) }) // if the host forgets it
	fmt.Printf("1|1|unix|%s|grpc\n", socket)
	if fault == "never accepts" {
		select {}
	}
	server := grpc.NewServer()
	backendv1.RegisterBackendServiceServer(server, &handwritten{fault: fault})
	return server.Serve(listener)
}

type handwritten struct {
	backendv1.UnimplementedBackendServiceServer
	fault string
}

func (h *handwritten) Describe(ctx context.Context, _ *backendv1.DescribeRequest) (*backendv1.DescribeResponse, error) {
	if h.fault == "never describes" {
		<-ctx.Done()
	}
	d := &backendv1.DescribeResponse{Type: "hand", Protocol: 1, Environment: []string{"*", "[!_]*", "?*", "H*=", "HAND_*"}}
	switch h.fault {
	case "later protocol":
		d.Protocol = 2
	case "lies about capabilities":
		d.Capabilities = []backendv1.Capability{backendv1.Capability_CAPABILITY_MOVE, 77}
	}
	return d, nil
}

func (h *handwritten) Configure(_ context.Context, r *backendv1.ConfigureRequest) (*backendv1.ConfigureResponse, error) {
	var names []string
	for name := range r.GetEnvironment() {
		names = append(names, name)
	}
	if h.fault == "tells environment" {
		return nil, status.Error(codes.NotFound, strings.Join(names, " "))
	}
	return &backendv1.ConfigureResponse{}, nil
}

func (h *handwritten) ExportRun(_ *backendv1.ExportRunRequest, stream grpc.ServerStreamingServer[backendv1.ExportRunResponse]) error {
	header := &backendv1.Frame{Frame: &backendv1.Frame_Header{Header: &backendv1.Header{Run: &backendv1.RunInfo{}}}}
	media := &backendv1.Frame{Frame: &backendv1.Frame_MediaBegin{MediaBegin: &backendv1.MediaBegin{Path: "x", Size: 5, Sha256: strings.Repeat("0", 64), NoBody: true}}}
	mediaEnd := &backendv1.Frame{Frame: &backendv1.Frame_MediaEnd{MediaEnd: &backendv1.MediaEnd{}}}
	end := &backendv1.Frame{Frame: &backendv1.Frame_End{End: &backendv1.End{Counts: &backendv1.Counts{}}}}
	frames := []*backendv1.Frame{header, end}
	switch h.fault {
	case "no end":
		frames = []*backendv1.Frame{header}
	case "header twice":
		frames = []*backendv1.Frame{header, header, end}
	case "no header":
		frames = []*backendv1.Frame{end}
	case "empty frame":
		frames = []*backendv1.Frame{header, {}, end}
	case "stray chunk":
		frames = []*backendv1.Frame{header, mediaEnd, end}
	case "media without bytes":
		frames = []*backendv1.Frame{header, media, mediaEnd, end}
	case "wrong digest":
		end.GetEnd().Digest = strings.Repeat("0", 64)
	case "wrong counts":
		end.GetEnd().Counts.Metrics = 1
	case "more after the end":
		frames = append(frames, header)
	}
	for _, f := range frames {
		if err := stream.Send(&backendv1.ExportRunResponse{Frame: f}); err != nil {
			return err
		}
	}
	if h.fault == "error after the end" {
		return status.Error(codes.DataLoss, "the snapshot is gone")
	}
	return nil
}
