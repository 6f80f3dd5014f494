package wire

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/trackio-go/trackio/trackio"
)

// Notes ([trackio.Note]) travel in the trailing metadata of a call, as UTF-8
// under this key, once for each.
const noteKey = "trackio-note-bin"

// A call passes on so many notes, and says so when there were more, and so many
// bytes of each.
const (
	maxNotes = 100
	maxNote  = 4 << 10
)

// notebook gathers the notes of one call.
type notebook struct {
	mu    sync.Mutex
	notes []string
}

func (n *notebook) add(note string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case len(n.notes) < maxNotes:
		n.notes = append(n.notes, sendable(note, maxNote))
	case len(n.notes) == maxNotes:
		n.notes = append(n.notes, "further notes were left out")
	}
}

func (n *notebook) trailer() metadata.MD {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.notes) == 0 {
		return nil
	}
	return metadata.MD{noteKey: n.notes}
}

// gatherUnary and gatherStream are the server's side of notes.
func gatherUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	var notes notebook
	response, err := handle(trackio.WithNotes(ctx, notes.add), request)
	if md := notes.trailer(); md != nil {
		if trailerErr := grpc.SetTrailer(ctx, md); trailerErr != nil && err == nil {
			err = trailerErr
		}
	}
	return response, err
}

func gatherStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	var notes notebook
	err := handle(service, &notedServerStream{stream, trackio.WithNotes(stream.Context(), notes.add)})
	stream.SetTrailer(notes.trailer())
	return err
}

type notedServerStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // how grpc passes the context of a stream
}

func (s *notedServerStream) Context() context.Context { return s.ctx }

// reportUnary and reportStream are the client's side.
func reportUnary(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var trailer metadata.MD
	err := invoke(ctx, method, request, response, conn, append(opts, grpc.Trailer(&trailer))...)
	report(ctx, trailer)
	return err
}

func reportStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, err
	}
	return &notedClientStream{stream, ctx, desc.ServerStreams}, nil
}

type notedClientStream struct {
	grpc.ClientStream
	caller  context.Context //nolint:containedctx // lives as long as the stream
	answers bool            // several messages come back, not one
}

func (s *notedClientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil || !s.answers {
		report(s.caller, s.Trailer())
	}
	return err
}

func report(ctx context.Context, trailer metadata.MD) {
	for _, note := range trailer.Get(noteKey) {
		trackio.Note(ctx, "%s", note)
	}
}
