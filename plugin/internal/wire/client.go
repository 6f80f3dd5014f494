package wire

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// Client is a backend that is reached over a connection. It has the methods of
// [trackio.Backend] only; capabilities are found with [trackio.As].
type Client struct {
	RPC          backendv1.BackendServiceClient
	Capabilities []Capability

	changes atomic.Uint64 // numbers the calls that change something

	// Lost is asked when a call failed on the way: it returns what became of the
	// process of the backend, nil when it lives. May be nil.
	Lost func(call string) error
}

// NewClient returns the backend at the other end of a connection.
func NewClient(conn grpc.ClientConnInterface, capabilities []Capability) *Client {
	return &Client{RPC: backendv1.NewBackendServiceClient(conn), Capabilities: capabilities}
}

// As implements what [trackio.As] asks wrappers for: it hands out the
// capabilities that the backend declared.
func (c *Client) As(target any) bool {
	switch target := target.(type) {
	case *trackio.Mover:
		return grant[trackio.Mover](c, backendv1.Capability_CAPABILITY_MOVE, target, mover{c})
	case *trackio.Renamer:
		return grant[trackio.Renamer](c, backendv1.Capability_CAPABILITY_RENAME, target, renamer{c})
	case *trackio.AlertLister:
		return grant[trackio.AlertLister](c, backendv1.Capability_CAPABILITY_LIST_ALERTS, target, alertLister{c})
	case *trackio.Summarizer:
		return grant[trackio.Summarizer](c, backendv1.Capability_CAPABILITY_SUMMARIZE, target, summarizer{c})
	case *trackio.ProjectDeleter:
		return grant[trackio.ProjectDeleter](c, backendv1.Capability_CAPABILITY_DELETE_PROJECT, target, projectDeleter{c})
	case *trackio.Examiner:
		return grant[trackio.Examiner](c, backendv1.Capability_CAPABILITY_EXAMINE, target, examiner{c})
	case *trackio.BulkChanger:
		return grant[trackio.BulkChanger](c, backendv1.Capability_CAPABILITY_CHANGE_RUNS, target, bulkChanger{c})
	case *trackio.Collector:
		return grant[trackio.Collector](c, backendv1.Capability_CAPABILITY_COLLECT, target, collector{c})
	}
	return false
}

func grant[T any](c *Client, capability Capability, target *T, facet T) bool {
	if !slices.Contains(c.Capabilities, capability) {
		return false
	}
	*target = facet
	return true
}

func unsupported(what string) error {
	return trackio.Errorf(errors.ErrUnsupported, "this backend cannot %s", what)
}

// Failed turns the error of a call into that of the backend, of its process, or
// of the caller's context.
func (c *Client) Failed(ctx context.Context, call string, err error) error {
	if err == nil {
		return nil
	}
	code := status.Code(err)
	if c.Lost != nil && !fromBackend(err) && callerGaveUp(ctx, code) == nil {
		switch code {
		case codes.Unavailable, codes.Canceled, codes.Internal:
			if lost := c.Lost(call); lost != nil {
				return lost
			}
		}
	}
	return decodeError(ctx, err)
}

// unary makes one call.
func unary[Req proto.Message, Resp any](ctx context.Context, c *Client, name string, call func(context.Context, Req, ...grpc.CallOption) (Resp, error), request Req) (Resp, error) {
	response, err := call(ctx, request)
	return response, c.failed(ctx, name, err, request)
}

// failed is Failed for a call whose request may be at fault.
func (c *Client) failed(ctx context.Context, name string, err error, request proto.Message) error {
	if err == nil {
		return nil
	}
	if unsendable := checkText(request); unsendable != nil {
		return unsendable
	}
	return c.Failed(ctx, name, err)
}

// messages yields what a streaming call sends.
func messages[Req proto.Message, M any](ctx context.Context, c *Client, name string, call func(context.Context, Req, ...grpc.CallOption) (grpc.ServerStreamingClient[M], error), request Req) iter.Seq2[*M, error] {
	return func(yield func(*M, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := unary(ctx, c, name, call, request)
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, c.Failed(ctx, name, err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// items yields the items in the messages of a streaming call.
func items[M, W, T any](batches iter.Seq2[*M, error], list func(*M) []W, convert func(W) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for batch, err := range batches {
			if err != nil {
				yield(none, err)
				return
			}
			for _, w := range list(batch) {
				item, err := convert(w)
				if err != nil {
					yield(none, err)
					return
				}
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// ListProjects implements [trackio.Backend].
func (c *Client) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	return items(messages(ctx, c, "ListProjects", c.RPC.ListProjects, &backendv1.ListProjectsRequest{}),
		(*backendv1.ListProjectsResponse).GetProjects,
		func(name string) (string, error) { return name, nil })
}

// ListRuns implements [trackio.Backend].
func (c *Client) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	request := &backendv1.ListRunsRequest{Project: project, Config: opts.Config, Latest: opts.Latest, Counts: opts.Counts}
	return items(messages(ctx, c, "ListRuns", c.RPC.ListRuns, request), (*backendv1.ListRunsResponse).GetRuns, fromInfo)
}

// GetRun implements [trackio.Backend].
func (c *Client) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	response, err := unary(ctx, c, "GetRun", c.RPC.GetRun, &backendv1.GetRunRequest{Ref: toRef(ref)})
	return infoOf(response, err)
}

// infoOf returns the run in a response.
func infoOf(response interface{ GetRun() *backendv1.RunInfo }, err error) (trackio.RunInfo, error) {
	if err != nil {
		return trackio.RunInfo{}, err
	}
	return fromInfo(response.GetRun())
}

// ExportRun implements [trackio.Backend].
func (c *Client) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		bare := trackio.ErrDataLoss
		if opts.NoBodies {
			bare = nil
		}
		next, stop := iter.Pull2(messages(ctx, c, "ExportRun", c.RPC.ExportRun, toExportOptions(ref, opts)))
		defer stop()
		reader := newFrameReader(func() (*backendv1.Frame, error) {
			m, err, ok := next()
			if !ok {
				return nil, io.EOF
			}
			return m.GetFrame(), err
		}, bare)
		trackio.Checked(reader.records())(yield)
	}
}

// ImportRun implements [trackio.Backend].
func (c *Client) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	callCtx, done, err := c.change(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer done()
	stream, err := c.RPC.ImportRun(callCtx)
	if err != nil {
		return trackio.RunInfo{}, c.Failed(ctx, "ImportRun", err)
	}
	target := &backendv1.ImportRunRequest{Request: &backendv1.ImportRunRequest_Ref{Ref: toRef(ref)}}
	if err = stream.Send(target); err == nil {
		err = writeFrames(records, func(f *backendv1.Frame) error {
			return stream.Send(&backendv1.ImportRunRequest{Request: &backendv1.ImportRunRequest_Frame{Frame: f}})
		})
	} else if unsendable := checkText(target); unsendable != nil {
		return trackio.RunInfo{}, unsendable
	} else {
		err = errSend{err}
	}

	var broken errSend
	failed := errors.As(err, &broken)
	if err != nil && !failed {
		return trackio.RunInfo{}, c.abort(stream, err)
	}
	// A send that failed says nothing but EOF: the backend's own error is here.
	response, err := stream.CloseAndRecv()
	if err == nil && failed {
		err = encodeError(trackio.Errorf(trackio.ErrDataLoss, "the backend stored run %q before its stream ended", ref.ID))
	}
	return infoOf(response, c.Failed(ctx, "ImportRun", err))
}

// abort tells the backend that the source failed, and waits until it has undone
// what it began.
func (c *Client) abort(stream grpc.ClientStreamingClient[backendv1.ImportRunRequest, backendv1.ImportRunResponse], cause error) error {
	abort := &backendv1.Abort{Kind: ErrorKind(cause), Message: cause.Error(), Hint: trackio.HintOf(cause)}
	if stream.Send(&backendv1.ImportRunRequest{Request: &backendv1.ImportRunRequest_Abort{Abort: abort}}) != nil {
		return cause
	}
	if _, err := stream.CloseAndRecv(); err == nil {
		return trackio.Errorf(trackio.ErrDataLoss, "the backend stored the run although its source failed: %w", cause)
	}
	return cause
}

// DeleteRun implements [trackio.Backend].
func (c *Client) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	request := &backendv1.DeleteRunRequest{Ref: toRef(ref), IfRevision: opts.IfRevision, Force: opts.Force}
	_, err := change(ctx, c, "DeleteRun", c.RPC.DeleteRun, request)
	return err
}

// Close closes the backend at the other end.
func (c *Client) Close() error {
	_, err := unary(context.Background(), c, "Close", c.RPC.Close, &backendv1.CloseRequest{})
	return err
}
