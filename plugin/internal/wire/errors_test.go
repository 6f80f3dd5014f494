package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

func TestErrorsKeepKindMessageAndHint(t *testing.T) {
	for _, kind := range []error{
		trackio.ErrNotFound, trackio.ErrExists, trackio.ErrConflict, trackio.ErrInvalid, trackio.ErrPermission,
		trackio.ErrUnavailable, trackio.ErrDataLoss, errors.ErrUnsupported,
	} {
		sent := trackio.Errorf(kind, "run %q: %w", "x", errors.New("because")).WithHint("try %d", 2)
		client := connect(t, NewServer(&stub{deleteRun: func(context.Context, trackio.RunRef, trackio.DeleteOptions) error {
			return fmt.Errorf("deleting: %w", sent)
		}}))
		err := client.DeleteRun(t.Context(), trackio.RunRef{}, trackio.DeleteOptions{})
		if trackio.KindOf(err) != kind || err.Error() != `deleting: run "x": because` || trackio.HintOf(err) != "try 2" {
			t.Errorf("%v came as kind %v, %q, hint %q", kind, trackio.KindOf(err), err, trackio.HintOf(err))
		}
	}
}

// What an error is about does not get lost because a context ended beneath it, or
// because its text is not fit for the transport.
func TestErrorsThatAreHardToCarry(t *testing.T) {
	var sent error
	client := connect(t, NewServer(&stub{deleteRun: func(context.Context, trackio.RunRef, trackio.DeleteOptions) error { return sent }}))
	for text, err := range map[string]*trackio.Error{
		"locked: context deadline exceeded":  trackio.Errorf(trackio.ErrConflict, "locked: %w", context.DeadlineExceeded),
		"locked: context canceled":           trackio.Errorf(trackio.ErrConflict, "locked: %w", context.Canceled),
		"file \uFFFD":                        trackio.Errorf(trackio.ErrConflict, "file \xff"),
		strings.Repeat("e", maxText) + "...": trackio.Errorf(trackio.ErrConflict, "%s", strings.Repeat("e", 20<<20)),
	} {
		sent = err.WithHint("wait \xff")
		got := client.DeleteRun(t.Context(), trackio.RunRef{}, trackio.DeleteOptions{})
		if trackio.KindOf(got) != trackio.ErrConflict || got.Error() != text || trackio.HintOf(got) != "wait \uFFFD" {
			t.Errorf("%.50v came as kind %v, %.50q, hint %q", err, trackio.KindOf(got), got, trackio.HintOf(got))
		}
	}
}

func TestPlainErrors(t *testing.T) {
	for _, test := range []struct {
		sent error
		kind error
		text string
	}{
		{errors.New("boom"), nil, "boom"},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, trackio.ErrPermission, "open x: permission denied"},
		{fs.ErrNotExist, trackio.ErrNotFound, "file does not exist"},
		{context.Canceled, trackio.ErrUnavailable, "the backend gave up: context canceled"},
		{context.DeadlineExceeded, trackio.ErrUnavailable, "context deadline exceeded"},
	} {
		client := connect(t, NewServer(&stub{deleteRun: func(context.Context, trackio.RunRef, trackio.DeleteOptions) error { return test.sent }}))
		err := client.DeleteRun(t.Context(), trackio.RunRef{}, trackio.DeleteOptions{})
		if trackio.KindOf(err) != test.kind || err == nil || err.Error() != test.text {
			t.Errorf("%v came as %v of kind %v", test.sent, err, trackio.KindOf(err))
		}
	}
}

// bare is a backend in another language: it knows gRPC's codes and nothing else.
type bare struct {
	backendv1.UnimplementedBackendServiceServer
	code codes.Code
}

func (b *bare) GetRun(context.Context, *backendv1.GetRunRequest) (*backendv1.GetRunResponse, error) {
	return nil, status.Error(b.code, "no such run")
}

func TestBareCodes(t *testing.T) {
	for code, kind := range map[codes.Code]error{
		codes.NotFound: trackio.ErrNotFound, codes.AlreadyExists: trackio.ErrExists, codes.Aborted: trackio.ErrConflict,
		codes.FailedPrecondition: trackio.ErrConflict, codes.InvalidArgument: trackio.ErrInvalid, codes.OutOfRange: trackio.ErrInvalid,
		codes.PermissionDenied: trackio.ErrPermission, codes.Unauthenticated: trackio.ErrPermission,
		codes.Unavailable: trackio.ErrUnavailable, codes.ResourceExhausted: trackio.ErrUnavailable,
		codes.DataLoss: trackio.ErrDataLoss, codes.Unimplemented: errors.ErrUnsupported,
		codes.Unknown: nil, codes.Internal: nil, codes.DeadlineExceeded: trackio.ErrUnavailable,
	} {
		_, err := connect(t, &bare{code: code}).GetRun(t.Context(), trackio.RunRef{})
		if trackio.KindOf(err) != kind || err == nil || err.Error() != "no such run" {
			t.Errorf("%v came as %v of kind %v", code, err, trackio.KindOf(err))
		}
	}
	_, err := connect(t, &bare{}).RPC.ListProjects(t.Context(), &backendv1.ListProjectsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range connect(t, &bare{}).ListProjects(t.Context()) {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a method that is not there: %v", err)
		}
	}
}

func TestCallerGivesUp(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan struct{}, 2)
	client := connect(t, NewServer(&stub{
		getRun: func(ctx context.Context, _ trackio.RunRef) (trackio.RunInfo, error) {
			begun <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return trackio.RunInfo{}, ctx.Err()
		},
		listProjects: func(ctx context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				for yield("p", nil) && ctx.Err() == nil {
				}
				ended <- struct{}{}
			}
		},
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := client.GetRun(ctx, trackio.RunRef{}); !errors.Is(err, context.Canceled) || trackio.KindOf(err) != nil {
		t.Errorf("cancelled: %v", err)
	}
	<-ended
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := client.GetRun(ctx, trackio.RunRef{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	select { // the deadline may be over before the call has arrived
	case <-begun:
		<-ended
	default:
	}
	for _, err := range client.ListProjects(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break // leaving the loop ends the call at the other end
	}
	<-ended
}

func TestFailedImportTellsWhy(t *testing.T) {
	full := trackio.Errorf(trackio.ErrUnavailable, "disk full")
	client := connect(t, NewServer(&stub{importRun: func(context.Context, trackio.RunRef, iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
		return trackio.RunInfo{}, full
	}}))
	released := false
	endless := func(yield func(trackio.Record, error) bool) {
		defer func() { released = true }()
		rows := make([]trackio.MetricsRow, 1000)
		for yield(&trackio.Metrics{Rows: rows}, nil) {
		}
	}
	_, err := client.ImportRun(t.Context(), trackio.RunRef{}, endless)
	if !errors.Is(err, trackio.ErrUnavailable) || err.Error() != "disk full" || !released {
		t.Errorf("got %v, source released: %v", err, released)
	}
}

func TestSourceOfImportFails(t *testing.T) {
	var seen error
	client := connect(t, NewServer(&stub{importRun: func(_ context.Context, _ trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
		_, seen = take(r)
		return trackio.RunInfo{}, seen
	}}))
	cause := trackio.Errorf(trackio.ErrDataLoss, "source is damaged").WithHint("restore it")
	_, err := client.ImportRun(t.Context(), trackio.RunRef{}, sequence(cause, &trackio.Header{}))
	if err != error(cause) {
		t.Errorf("the caller got %v", err)
	}
	// ImportRun returned, so the backend has finished, and saw the same error.
	if !errors.Is(seen, trackio.ErrDataLoss) || seen.Error() != cause.Message || trackio.HintOf(seen) != "restore it" {
		t.Errorf("the backend saw %v", seen)
	}
}

func TestImportersThatDoNotReadToTheEnd(t *testing.T) {
	client := connect(t, NewServer(&stub{importRun: func(_ context.Context, ref trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
		for _, err := range r {
			return trackio.RunInfo{RunRef: ref}, err
		}
		return trackio.RunInfo{}, errors.New("nothing came")
	}}))
	if _, err := client.ImportRun(t.Context(), trackio.RunRef{}, sequence(nil, wholeRun()...)); !errors.Is(err, trackio.ErrDataLoss) {
		t.Errorf("got %v", err)
	}
}

func TestTextThatIsNotUTF8(t *testing.T) {
	client := connect(t, NewServer(&stub{
		getRun: func(context.Context, trackio.RunRef) (trackio.RunInfo, error) {
			return trackio.RunInfo{Name: "\xff"}, nil
		},
		exportRun: func(context.Context, trackio.RunRef, trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
			return sequence(nil, &trackio.Header{RunInfo: trackio.RunInfo{Name: "\xff"}})
		},
	}))
	if _, err := client.GetRun(t.Context(), trackio.RunRef{ID: "\xff"}); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("request: %v", err)
	}
	if _, err := client.GetRun(t.Context(), trackio.RunRef{}); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("response: %v", err)
	}
	if _, err := take(client.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{})); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("stream: %v", err)
	}
}

// A backend may declare what it then cannot do: the call says so.
func TestDeclaredCapabilityThatIsNotThere(t *testing.T) {
	client := connect(t, NewServer(&stub{}), backendv1.Capability_CAPABILITY_MOVE, backendv1.Capability_CAPABILITY_LIST_ALERTS)
	mover, ok := trackio.As[trackio.Mover](client)
	if !ok {
		t.Fatal("the declared capability is missing")
	}
	if _, err := mover.MoveRun(t.Context(), trackio.RunRef{}, "p", trackio.MoveOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("MoveRun: %v", err)
	}
	lister, _ := trackio.As[trackio.AlertLister](client)
	for _, err := range lister.ListAlerts(t.Context(), "p", trackio.AlertOptions{}) {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ListAlerts: %v", err)
		}
	}
	if _, ok := trackio.As[trackio.Renamer](client); ok {
		t.Error("a capability was handed out that was not declared")
	}
}
