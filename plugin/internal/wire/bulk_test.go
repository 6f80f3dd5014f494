package wire

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// changer is a stub that can change many runs.
type changer struct {
	stub
	changeRuns func(context.Context, []trackio.Change) iter.Seq2[trackio.ChangeResult, error]
}

func (c *changer) ChangeRuns(ctx context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
	return c.changeRuns(ctx, changes)
}

// bulk returns the changer at the other end of a connection.
func bulk(t *testing.T, changeRuns func(context.Context, []trackio.Change) iter.Seq2[trackio.ChangeResult, error]) trackio.BulkChanger {
	t.Helper()
	backend := &changer{changeRuns: changeRuns}
	found, ok := trackio.As[trackio.BulkChanger](connect(t, NewServer(backend), CapabilitiesOf(backend)...))
	if !ok {
		t.Fatal("the capability is lost")
	}
	return found
}

// outcome is what a test compares of a result.
func outcome(r trackio.ChangeResult) string {
	return fmt.Sprintf("%+v %v %v %q", r.Run, r.Err, trackio.KindOf(r.Err), trackio.HintOf(r.Err))
}

// TestChangesPass sends more results than one message holds, and then an error.
func TestChangesPass(t *testing.T) {
	ref := func(i int) trackio.RunRef { return trackio.RunRef{Project: "p", ID: fmt.Sprint(i)} }
	changes := []trackio.Change{
		{Run: ref(0), Kind: trackio.ChangeMove, To: "q", IfRevision: "7", Force: true},
		{Run: ref(1), Kind: trackio.ChangeRename, Name: "new"},
		{Run: ref(2), Kind: trackio.ChangeDelete, Force: true},
		{Run: ref(3)},
		{Run: ref(4), Kind: trackio.ChangeDelete},
		{Run: ref(5), Kind: trackio.ChangeDelete},
	}
	long := strings.Repeat("n", frameSize)
	want := []trackio.ChangeResult{
		{Run: trackio.RunInfo{RunRef: trackio.RunRef{Project: "q", ID: "0"}, Name: long, Revision: "8", DerivedID: "d", CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 5, time.UTC)}},
		{Run: trackio.RunInfo{RunRef: ref(1), Name: "new" + long, Revision: "9"}},
		{},
		{Err: trackio.Errorf(trackio.ErrInvalid, "what is that").WithHint("think")},
		{Err: errors.New("of no kind")},
	}
	var asked []trackio.Change
	changer := bulk(t, func(_ context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
		asked = changes
		return func(yield func(trackio.ChangeResult, error) bool) {
			for _, r := range want {
				if !yield(r, nil) {
					return
				}
			}
			yield(trackio.ChangeResult{}, trackio.Errorf(trackio.ErrUnavailable, "the store went away"))
		}
	})
	var got []trackio.ChangeResult
	var failed error
	for r, err := range changer.ChangeRuns(t.Context(), changes) {
		if err != nil {
			failed = err
			continue
		}
		got = append(got, r)
	}
	if !reflect.DeepEqual(asked, changes) {
		t.Errorf("the backend got %+v, want %+v", asked, changes)
	}
	if len(got) != len(want) || trackio.KindOf(failed) != trackio.ErrUnavailable {
		t.Fatalf("%d results came, want %d; then %v", len(got), len(want), failed)
	}
	for i := range want {
		if outcome(got[i]) != outcome(want[i]) {
			t.Errorf("result %d is %.200s, want %.200s", i, outcome(got[i]), outcome(want[i]))
		}
	}
}

// What cannot be sent is refused in its place, and the rest happens.
func TestUnsendableChanges(t *testing.T) {
	good := trackio.Change{Run: trackio.RunRef{Project: "p", ID: "good"}, Kind: trackio.ChangeDelete}
	bad := trackio.Change{Run: trackio.RunRef{Project: "p", ID: "\xff"}, Kind: trackio.ChangeDelete}
	for _, pattern := range []string{"b", "gb", "bg", "bbgbbgb", "gg", ""} {
		var changes []trackio.Change
		for _, c := range pattern {
			changes = append(changes, map[rune]trackio.Change{'g': good, 'b': bad}[c])
		}
		changer := bulk(t, func(_ context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
			return func(yield func(trackio.ChangeResult, error) bool) {
				for range changes {
					if !yield(trackio.ChangeResult{}, nil) {
						return
					}
				}
			}
		})
		got := ""
		for r, err := range changer.ChangeRuns(t.Context(), changes) {
			switch {
			case err != nil:
				t.Errorf("%q: %v", pattern, err)
			case r.Err == nil:
				got += "g"
			case trackio.KindOf(r.Err) == trackio.ErrInvalid:
				got += "b"
			}
		}
		if got != pattern {
			t.Errorf("the results are %q, want %q", got, pattern)
		}
	}
}

// Nothing is changed any more when a loop is over, however it ended, and what was
// done before is told.
func TestChangeRunsStopsFirst(t *testing.T) {
	for _, how := range []string{"cancelled", "deadline", "left"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			const done = 3
			var stopped atomic.Bool
			changer := bulk(t, func(ctx context.Context, _ []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
				return func(yield func(trackio.ChangeResult, error) bool) {
					for range done {
						if !yield(trackio.ChangeResult{}, nil) {
							return
						}
						time.Sleep(maxWait) // so that each is sent
					}
					<-ctx.Done()
					time.Sleep(100 * time.Millisecond)
					stopped.Store(true)
					yield(trackio.ChangeResult{}, ctx.Err())
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if how == "deadline" {
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			n := 0
			var failed error
			for _, err := range changer.ChangeRuns(ctx, make([]trackio.Change, 2*done)) {
				if err != nil {
					failed = err
					continue
				}
				n++
				if how == "left" {
					break
				}
				if how == "cancelled" && n == 1 {
					cancel()
				}
			}
			if !stopped.Load() {
				t.Error("the loop ended before the backend had stopped")
			}
			if how == "left" {
				return
			}
			if !errors.Is(failed, ctx.Err()) || ctx.Err() == nil || n != done {
				t.Errorf("%d of %d results came, then %v", n, done, failed)
			}
		})
	}
}

// sloppy answers with a number of results of its own.
type sloppy struct {
	backendv1.UnimplementedBackendServiceServer
	results []*backendv1.ChangeResult
}

func (s sloppy) ChangeRuns(_ *backendv1.ChangeRunsRequest, stream grpc.ServerStreamingServer[backendv1.ChangeRunsResponse]) error {
	return stream.Send(&backendv1.ChangeRunsResponse{Results: s.results})
}

// What the other side gets wrong is an error of a kind.
func TestChangeRunsOfASloppyPeer(t *testing.T) {
	done := &backendv1.ChangeResult{}
	for _, c := range []struct {
		name    string
		results []*backendv1.ChangeResult
		came    int
		kind    error
	}{
		{"too few", []*backendv1.ChangeResult{done}, 1, trackio.ErrUnavailable},
		{"too many", []*backendv1.ChangeResult{done, done, done}, 2, trackio.ErrDataLoss},
		{"no time", []*backendv1.ChangeResult{done, {Run: &backendv1.RunInfo{CreatedAt: "yesterday"}}}, 1, trackio.ErrDataLoss},
		{"no reason", []*backendv1.ChangeResult{done, {Failure: &backendv1.Failure{}}}, 2, nil},
	} {
		client := connect(t, sloppy{results: c.results}, backendv1.Capability_CAPABILITY_CHANGE_RUNS)
		changer, _ := trackio.As[trackio.BulkChanger](client)
		n := 0
		var failed, refused error
		for r, err := range changer.ChangeRuns(t.Context(), make([]trackio.Change, 2)) {
			if err != nil {
				failed = err
				continue
			}
			refused = errors.Join(refused, r.Err)
			n++
		}
		if n != c.came || trackio.KindOf(failed) != c.kind || (refused != nil) != (c.name == "no reason") {
			t.Errorf("%s: %d results came, want %d; then %v, want the kind %v; refused: %v", c.name, n, c.came, failed, c.kind, refused)
		}
	}
}
