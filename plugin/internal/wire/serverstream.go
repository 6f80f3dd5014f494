package wire

import (
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// ExportRun implements the service.
func (s *Server) ExportRun(request *backendv1.ExportRunRequest, stream grpc.ServerStreamingServer[backendv1.ExportRunResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	opts, err := fromExportOptions(request)
	if err != nil {
		return encodeError(err)
	}
	err = writeFrames(b.ExportRun(stream.Context(), fromRef(request.GetRef()), opts), func(f *backendv1.Frame) error {
		return send(stream, &backendv1.ExportRunResponse{Frame: f})
	})
	var broken errSend
	if errors.As(err, &broken) {
		return broken.error
	}
	return encodeError(err)
}

// ImportRun implements the service.
func (s *Server) ImportRun(stream grpc.ClientStreamingServer[backendv1.ImportRunRequest, backendv1.ImportRunResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil && err != io.EOF {
		return err
	}
	target, ok := first.GetRequest().(*backendv1.ImportRunRequest_Ref)
	if !ok {
		return encodeError(trackio.Errorf(trackio.ErrInvalid, "the stream of an import begins with %T, not with its target", first.GetRequest()))
	}
	ctx, done := s.changes.begin(stream.Context())
	defer done()
	reader := newFrameReader(func() (*backendv1.Frame, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		request, err := stream.Recv()
		if err == io.EOF {
			return nil, err
		}
		if err != nil {
			return nil, decodeError(ctx, err)
		}
		switch request := request.GetRequest().(type) {
		case *backendv1.ImportRunRequest_Abort:
			return nil, decodeAbort(request.Abort)
		case *backendv1.ImportRunRequest_Frame:
			return request.Frame, nil
		case *backendv1.ImportRunRequest_Ref:
			return nil, trackio.Errorf(trackio.ErrInvalid, "the stream of an import has two targets")
		}
		return &backendv1.Frame{}, nil // something of a later protocol: an unknown frame
	}, trackio.ErrInvalid)
	info, err := b.ImportRun(ctx, fromRef(target.Ref), trackio.Checked(reader.records()))
	switch {
	case err != nil:
		return encodeError(err)
	case reader.err != nil:
		return encodeError(trackio.Errorf(trackio.ErrDataLoss, "the backend stored the run although its stream failed: %w", reader.err))
	case !reader.whole:
		return encodeError(trackio.Errorf(trackio.ErrDataLoss, "the backend stored the run without reading its stream to the end"))
	}
	response, err := answer(&backendv1.ImportRunResponse{Run: toInfo(info)}, nil)
	if err != nil {
		return err
	}
	return stream.SendAndClose(response)
}

func decodeAbort(abort *backendv1.Abort) error {
	if kind := KindError(abort.GetKind()); kind != nil {
		return &trackio.Error{Kind: kind, Message: abort.GetMessage(), Hint: abort.GetHint()}
	}
	return trackio.Errorf(trackio.ErrUnavailable, "the source of the import failed: %s", abort.GetMessage())
}
