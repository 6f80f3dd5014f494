package wire

import (
	"context"
	"errors"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

type bulkChanger struct{ *Client }

// ChangeRuns refuses itself what cannot be sent, so that the other changes can
// be.
func (c bulkChanger) ChangeRuns(ctx context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
	return func(yield func(trackio.ChangeResult, error) bool) {
		request := &backendv1.ChangeRunsRequest{}
		unsendable := map[int]error{}
		for i, change := range changes {
			w := toChange(change)
			if err := checkText(w); err != nil {
				unsendable[i] = err
				continue
			}
			request.Changes = append(request.Changes, w)
		}
		n := 0
		refuse := func() bool { // those whose turn it is
			for ; unsendable[n] != nil; n++ {
				if !yield(trackio.ChangeResult{Err: unsendable[n]}, nil) {
					return false
				}
			}
			return true
		}
		results := items(changing(ctx, c.Client, "ChangeRuns", c.RPC.ChangeRuns, request), (*backendv1.ChangeRunsResponse).GetResults, fromChangeResult)
		for result, err := range results {
			if err == nil {
				if !refuse() {
					return
				}
				if n == len(changes) {
					err = trackio.Errorf(trackio.ErrDataLoss, "the backend sent more results than it was sent changes, which are %d", len(request.Changes))
				}
			}
			if err != nil {
				yield(trackio.ChangeResult{}, err)
				return
			}
			if !yield(result, nil) {
				return
			}
			n++
		}
		if !refuse() {
			return
		}
		if n < len(changes) {
			yield(trackio.ChangeResult{}, trackio.Errorf(trackio.ErrUnavailable, "the backend did not say what became of %d of %d changes", len(changes)-n, len(changes)).
				WithHint("look at the runs"))
		}
	}
}

// ChangeRuns implements the service.
func (s *Server) ChangeRuns(request *backendv1.ChangeRunsRequest, stream grpc.ServerStreamingServer[backendv1.ChangeRunsResponse]) error {
	b, err := s.opened()
	if err != nil {
		return err
	}
	changer, ok := trackio.As[trackio.BulkChanger](b)
	if !ok {
		return encodeError(unsupported("change many runs at once"))
	}
	changes := make([]trackio.Change, len(request.GetChanges()))
	for i, w := range request.GetChanges() {
		changes[i] = fromChange(w)
	}
	ctx, done := s.changes.begin(stream.Context())
	defer done()
	return sendBatches(changer.ChangeRuns(ctx, changes),
		func(r trackio.ChangeResult) (*backendv1.ChangeResult, int) {
			w := toChangeResult(r)
			return w, proto.Size(w)
		},
		func(batch []*backendv1.ChangeResult) proto.Message {
			return &backendv1.ChangeRunsResponse{Results: batch}
		},
		stream)
}

var changeKinds = [...]struct {
	kind trackio.ChangeKind
	wire backendv1.ChangeKind
}{
	{trackio.ChangeMove, backendv1.ChangeKind_CHANGE_KIND_MOVE},
	{trackio.ChangeRename, backendv1.ChangeKind_CHANGE_KIND_RENAME},
	{trackio.ChangeDelete, backendv1.ChangeKind_CHANGE_KIND_DELETE},
}

func toChange(c trackio.Change) *backendv1.Change {
	w := &backendv1.Change{Ref: toRef(c.Run), To: c.To, Name: c.Name, IfRevision: c.IfRevision, Force: c.Force}
	for _, k := range changeKinds {
		if k.kind == c.Kind {
			w.Kind = k.wire
		}
	}
	return w
}

// fromChange leaves a kind that is not known to be refused by the backend.
func fromChange(w *backendv1.Change) trackio.Change {
	c := trackio.Change{Run: fromRef(w.GetRef()), To: w.GetTo(), Name: w.GetName(), IfRevision: w.GetIfRevision(), Force: w.GetForce()}
	for _, k := range changeKinds {
		if k.wire == w.GetKind() {
			c.Kind = k.kind
		}
	}
	return c
}

func toChangeResult(r trackio.ChangeResult) *backendv1.ChangeResult {
	if r.Err != nil {
		return &backendv1.ChangeResult{Failure: &backendv1.Failure{
			Kind:    ErrorKind(r.Err),
			Message: sendable(r.Err.Error(), maxText),
			Hint:    sendable(trackio.HintOf(r.Err), maxText),
		}}
	}
	if r.Run.RunRef == (trackio.RunRef{}) {
		return &backendv1.ChangeResult{}
	}
	return &backendv1.ChangeResult{Run: toInfo(r.Run)}
}

func fromChangeResult(w *backendv1.ChangeResult) (trackio.ChangeResult, error) {
	if f := w.GetFailure(); f != nil {
		return trackio.ChangeResult{Err: fromFailure(f)}, nil
	}
	if w.GetRun() == nil {
		return trackio.ChangeResult{}, nil
	}
	info, err := fromInfo(w.GetRun())
	return trackio.ChangeResult{Run: info}, err
}

func fromFailure(f *backendv1.Failure) error {
	message := f.GetMessage()
	if message == "" {
		message = "the backend refused a change and did not say why"
	}
	if kind := KindError(f.GetKind()); kind != nil {
		return &trackio.Error{Kind: kind, Message: message, Hint: f.GetHint()}
	}
	return errors.New(message)
}
