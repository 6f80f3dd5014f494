package wire

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// Server serves a backend. Description and Open say which; a server made by
// [NewServer] has its backend from the beginning.
type Server struct {
	backendv1.UnimplementedBackendServiceServer

	Description *backendv1.DescribeResponse
	// Open opens the storage. The context lasts until the backend is closed.
	Open func(context.Context, *backendv1.ConfigureRequest) (trackio.Backend, *backendv1.ConfigureResponse, error)

	mu      sync.Mutex
	backend trackio.Backend
	release context.CancelFunc // ends the context of Open
}

// NewServer serves a backend that is open already.
func NewServer(backend trackio.Backend) *Server {
	return &Server{
		backend:     backend,
		Description: &backendv1.DescribeResponse{Protocol: Protocol, Capabilities: CapabilitiesOf(backend)},
	}
}

// opened returns the backend, an error before Configure.
func (s *Server) opened() (trackio.Backend, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend == nil {
		return nil, encodeError(trackio.Errorf(trackio.ErrInvalid, "the backend was asked for something before it was configured"))
	}
	return s.backend, nil
}

// Describe implements the service.
func (s *Server) Describe(context.Context, *backendv1.DescribeRequest) (*backendv1.DescribeResponse, error) {
	return s.Description, nil
}

// Configure implements the service.
func (s *Server) Configure(ctx context.Context, request *backendv1.ConfigureRequest) (*backendv1.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend != nil || s.Open == nil {
		return nil, encodeError(trackio.Errorf(trackio.ErrInvalid, "the backend is configured already"))
	}
	// Clients of cloud services keep the context that they were made with: it
	// must outlive this call, and yet end with it while the call lasts.
	openCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	detach := context.AfterFunc(ctx, cancel)
	backend, response, err := s.Open(openCtx, request)
	detach()
	if err != nil || backend == nil {
		cancel()
		if err == nil {
			return response, nil
		}
		return nil, encodeError(err)
	}
	s.backend, s.release = backend, cancel
	return response, nil
}

// Close implements the service.
func (s *Server) Close(context.Context, *backendv1.CloseRequest) (*backendv1.CloseResponse, error) {
	if err := s.Shutdown(); err != nil {
		return nil, encodeError(err)
	}
	return &backendv1.CloseResponse{}, nil
}

// Shutdown closes the backend if it is open.
func (s *Server) Shutdown() error {
	s.mu.Lock()
	backend, release := s.backend, s.release
	s.mu.Unlock()
	if backend == nil {
		return nil
	}
	err := backend.Close()
	if release != nil {
		release()
	}
	return err
}

// ListProjects implements the service.
func (s *Server) ListProjects(_ *backendv1.ListProjectsRequest, stream grpc.ServerStreamingServer[backendv1.ListProjectsResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	return sendBatches(b.ListProjects(stream.Context()),
		func(name string) (string, int) { return name, len(name) },
		func(batch []string) proto.Message { return &backendv1.ListProjectsResponse{Projects: batch} },
		stream)
}

// ListRuns implements the service.
func (s *Server) ListRuns(request *backendv1.ListRunsRequest, stream grpc.ServerStreamingServer[backendv1.ListRunsResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	opts := trackio.ListOptions{Config: request.GetConfig(), Latest: request.GetLatest(), Counts: request.GetCounts()}
	return sendBatches(b.ListRuns(stream.Context(), request.GetProject(), opts),
		func(info trackio.RunInfo) (*backendv1.RunInfo, int) {
			return toInfo(info), 100 + len(info.ID) + len(info.Name) + len(info.Config)
		},
		func(batch []*backendv1.RunInfo) proto.Message { return &backendv1.ListRunsResponse{Runs: batch} },
		stream)
}

// ListAlerts implements the service.
func (s *Server) ListAlerts(request *backendv1.ListAlertsRequest, stream grpc.ServerStreamingServer[backendv1.ListAlertsResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	lister, ok := trackio.As[trackio.AlertLister](b)
	if !ok {
		return encodeError(unsupported("list alerts"))
	}
	since, err := fromTime(request.GetSince())
	if err != nil {
		return encodeError(err)
	}
	opts := trackio.AlertOptions{RunID: request.GetRunId(), Level: request.GetLevel(), Since: since}
	return sendBatches(lister.ListAlerts(stream.Context(), request.GetProject(), opts),
		func(a trackio.Alert) (*backendv1.Alert, int) {
			size := 100 + len(a.Title)
			if a.Text != nil {
				size += len(*a.Text)
			}
			return toAlert(a), size
		},
		func(batch []*backendv1.Alert) proto.Message { return &backendv1.ListAlertsResponse{Alerts: batch} },
		stream)
}

// Examine implements the service.
func (s *Server) Examine(request *backendv1.ExamineRequest, stream grpc.ServerStreamingServer[backendv1.ExamineResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	examiner, ok := trackio.As[trackio.Examiner](b)
	if !ok {
		return encodeError(unsupported("examine its storage"))
	}
	return sendBatches(examiner.Examine(stream.Context(), trackio.ExamineOptions{Fix: request.GetFix()}),
		func(f trackio.Finding) (*backendv1.Finding, int) {
			return toFinding(f), 100 + len(f.Message) + len(f.Hint)
		},
		func(batch []*backendv1.Finding) proto.Message { return &backendv1.ExamineResponse{Findings: batch} },
		stream)
}

// maxWait is how long an item of a slow listing waits for others.
const maxWait = 50 * time.Millisecond

// sendBatches sends the items of a sequence in messages of about frameSize, and
// earlier when the sequence is slow.
func sendBatches[T, M any](items iter.Seq2[T, error], convert func(T) (M, int), message func([]M) proto.Message, stream grpc.ServerStream) error {
	var batch []M
	size, since := 0, time.Now()
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		m := message(batch)
		batch, size = nil, 0
		return send(stream, m)
	}
	for item, err := range items {
		if err != nil {
			// What came before the error is delivered all the same.
			if flushErr := flush(); flushErr != nil {
				return flushErr
			}
			return encodeError(err)
		}
		m, n := convert(item)
		batch, size = append(batch, m), size+n
		if now := time.Now(); size >= frameSize || now.Sub(since) > maxWait {
			since = now
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// send sends a message; one that holds text which is not UTF-8 is a typed error,
// found before the transport would end the stream with one of its own.
func send(stream grpc.ServerStream, m proto.Message) error {
	var prepared grpc.PreparedMsg
	if err := prepared.Encode(stream, m); err != nil {
		if unsendable := checkText(m); unsendable != nil {
			return encodeError(unsendable)
		}
		return err
	}
	return stream.SendMsg(&prepared)
}

// GetRun implements the service.
func (s *Server) GetRun(ctx context.Context, request *backendv1.GetRunRequest) (*backendv1.GetRunResponse, error) {
	b, err := s.opened()
	if err != nil {
		return nil, err
	}
	info, err := b.GetRun(ctx, fromRef(request.GetRef()))
	return answer(&backendv1.GetRunResponse{Run: toInfo(info)}, err)
}

// DeleteRun implements the service.
func (s *Server) DeleteRun(ctx context.Context, request *backendv1.DeleteRunRequest) (*backendv1.DeleteRunResponse, error) {
	b, err := s.opened()
	if err != nil {
		return nil, err
	}
	opts := trackio.DeleteOptions{IfRevision: request.GetIfRevision(), Force: request.GetForce()}
	return answer(&backendv1.DeleteRunResponse{}, b.DeleteRun(ctx, fromRef(request.GetRef()), opts))
}

// DeleteProject implements the service.
func (s *Server) DeleteProject(ctx context.Context, request *backendv1.DeleteProjectRequest) (*backendv1.DeleteProjectResponse, error) {
	b, err := s.opened()
	if err != nil {
		return nil, err
	}
	deleter, ok := trackio.As[trackio.ProjectDeleter](b)
	if !ok {
		return nil, encodeError(unsupported("delete projects"))
	}
	opts := trackio.DeleteOptions{Force: request.GetForce()}
	return answer(&backendv1.DeleteProjectResponse{}, deleter.DeleteProject(ctx, request.GetProject(), opts))
}

// MoveRun implements the service.
func (s *Server) MoveRun(ctx context.Context, request *backendv1.MoveRunRequest) (*backendv1.MoveRunResponse, error) {
	b, err := s.opened()
	if err != nil {
		return nil, err
	}
	mover, ok := trackio.As[trackio.Mover](b)
	if !ok {
		return nil, encodeError(unsupported("move runs"))
	}
	opts := trackio.MoveOptions{IfRevision: request.GetIfRevision(), Force: request.GetForce()}
	info, err := mover.MoveRun(ctx, fromRef(request.GetRef()), request.GetProject(), opts)
	return answer(&backendv1.MoveRunResponse{Run: toInfo(info)}, err)
}

// RenameRun implements the service.
func (s *Server) RenameRun(ctx context.Context, request *backendv1.RenameRunRequest) (*backendv1.RenameRunResponse, error) {
	b, err := s.opened()
	if err != nil {
		return nil, err
	}
	renamer, ok := trackio.As[trackio.Renamer](b)
	if !ok {
		return nil, encodeError(unsupported("rename runs"))
	}
	opts := trackio.RenameOptions{IfRevision: request.GetIfRevision(), Force: request.GetForce()}
	info, err := renamer.RenameRun(ctx, fromRef(request.GetRef()), request.GetName(), opts)
	return answer(&backendv1.RenameRunResponse{Run: toInfo(info)}, err)
}

// SummarizeRun implements the service.
func (s *Server) SummarizeRun(ctx context.Context, request *backendv1.SummarizeRunRequest) (*backendv1.SummarizeRunResponse, error) {
	b, err := s.opened()
	if err != nil {
		return nil, err
	}
	summarizer, ok := trackio.As[trackio.Summarizer](b)
	if !ok {
		return nil, encodeError(unsupported("sum up runs"))
	}
	sum, err := summarizer.SummarizeRun(ctx, fromRef(request.GetRef()))
	return answer(&backendv1.SummarizeRunResponse{
		Counts: toCounts(&sum.Counts), LastStep: sum.LastStep, MetricNames: sum.MetricNames, SystemMetrics: sum.SystemMetrics,
	}, err)
}

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
	ctx := stream.Context()
	reader := newFrameReader(func() (*backendv1.Frame, error) {
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
	})
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

// answer returns a response, or the error of the backend.
func answer[M proto.Message](response M, err error) (M, error) {
	var none M
	if err != nil {
		return none, encodeError(err)
	}
	if err := checkText(response); err != nil {
		return none, encodeError(err)
	}
	return response, nil
}

func decodeAbort(abort *backendv1.Abort) error {
	if kind := KindError(abort.GetKind()); kind != nil {
		return &trackio.Error{Kind: kind, Message: abort.GetMessage(), Hint: abort.GetHint()}
	}
	return trackio.Errorf(trackio.ErrUnavailable, "the source of the import failed: %s", abort.GetMessage())
}
