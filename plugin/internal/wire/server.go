package wire

import (
	"context"
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

	changes changes
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

// Shutdown closes the backend if it is open, after the changes that are under
// way: one that was cancelled gets the time to undo what it did.
func (s *Server) Shutdown() error {
	s.mu.Lock()
	backend, release := s.backend, s.release
	s.mu.Unlock()
	if backend == nil {
		return nil
	}
	s.changes.running.Lock()
	defer s.changes.running.Unlock()
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
	ctx, done := s.changes.begin(stream.Context()) // it may mend something
	defer done()
	return sendBatches(examiner.Examine(ctx, trackio.ExamineOptions{Fix: request.GetFix()}),
		func(f trackio.Finding) (*backendv1.Finding, int) {
			return toFinding(f), 100 + len(f.Message) + len(f.Hint)
		},
		func(batch []*backendv1.Finding) proto.Message { return &backendv1.ExamineResponse{Findings: batch} },
		stream)
}

// Collect implements the service.
func (s *Server) Collect(request *backendv1.CollectRequest, stream grpc.ServerStreamingServer[backendv1.CollectResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	collector, ok := trackio.As[trackio.Collector](b)
	if !ok {
		return encodeError(unsupported("collect what no run refers to"))
	}
	opts, err := fromCollectOptions(request)
	if err != nil {
		return encodeError(err)
	}
	ctx, done := s.changes.begin(stream.Context())
	defer done()
	return sendBatches(collector.Collect(ctx, opts),
		func(g trackio.Garbage) (*backendv1.Garbage, int) { return toGarbage(g), 100 + len(g.Name) },
		func(batch []*backendv1.Garbage) proto.Message { return &backendv1.CollectResponse{Garbage: batch} },
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
	ctx, done := s.changes.begin(ctx)
	defer done()
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
	ctx, done := s.changes.begin(ctx)
	defer done()
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
	ctx, done := s.changes.begin(ctx)
	defer done()
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
	ctx, done := s.changes.begin(ctx)
	defer done()
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
