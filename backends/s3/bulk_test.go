package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// opened opens a bucket for a test.
func opened(t *testing.T, config Config) *Backend {
	t.Helper()
	b, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// seed puts runs without data into a project, with configs of that size.
func seed(t *testing.T, b *Backend, project string, runs, config int) []trackio.RunRef {
	t.Helper()
	var refs []trackio.RunRef
	text := json.RawMessage(fmt.Sprintf(`"{\"note\":%s}"`, strings.Repeat("x", config)))
	for len(refs) < runs {
		var actions []ledger.Action
		_, err := b.ledger.Commit(t.Context(), func(ctx context.Context, _ *ledger.State) ([]ledger.Action, error) {
			actions = nil
			for room := 0; len(refs)+len(actions) < runs; {
				begun, err := b.ledger.Begin(ctx)
				if err != nil {
					return nil, err
				}
				id := fmt.Sprintf("%s-%05d", project, len(refs)+len(actions))
				action := ledger.Add(project, &ledger.Run{ID: id, Name: "run " + id, Data: begun.Data(), Config: text, CreatedAt: "2026-01-01T10:00:00+00:00"})
				size, err := action.Size()
				if err != nil {
					return nil, err
				}
				if room += size; room > ledger.MaxActions {
					break
				}
				actions = append(actions, action)
			}
			return actions, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range actions {
			refs = append(refs, trackio.RunRef{Project: project, ID: action.Run.ID})
		}
	}
	return refs
}

func commits(t *testing.T, b *Backend) int64 {
	t.Helper()
	state, err := b.ledger.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.Seq()
}

func changesOf(refs []trackio.RunRef, c trackio.Change) []trackio.Change {
	changes := make([]trackio.Change, len(refs))
	for i, ref := range refs {
		changes[i] = c
		changes[i].Run = ref
	}
	return changes
}

// allDone makes changes of which each must succeed.
func allDone(t *testing.T, b *Backend, changes []trackio.Change) {
	t.Helper()
	n := 0
	for result, err := range b.ChangeRuns(t.Context(), changes) {
		if err := errors.Join(err, result.Err); err != nil {
			t.Fatalf("change %d: %v", n, err)
		}
		n++
	}
	if n != len(changes) {
		t.Fatalf("%d results for %d changes", n, len(changes))
	}
}

// TestOneCommit: 500 runs with 2 KiB of config are one commit, whatever is done to
// them; more are as few as have room.
func TestOneCommit(t *testing.T) {
	b := opened(t, stores()["memory"](t))
	refs := seed(t, b, "alpha", 500, 2<<10)
	moved := slices.Clone(refs)
	for i := range moved {
		moved[i].Project = "beta"
	}
	for _, c := range []struct {
		name    string
		changes []trackio.Change
	}{
		{"rename", changesOf(refs, trackio.Change{Kind: trackio.ChangeRename, Name: "renamed"})},
		{"move", changesOf(refs, trackio.Change{Kind: trackio.ChangeMove, To: "beta"})},
		{"delete", changesOf(moved, trackio.Change{Kind: trackio.ChangeDelete})},
	} {
		before := commits(t, b)
		allDone(t, b, c.changes)
		if n := commits(t, b) - before; n != 1 {
			t.Errorf("%s of %d runs: %d commits, want 1", c.name, len(refs), n)
		}
	}

	refs = seed(t, b, "many", 1500, 2<<10)
	size := 0
	for _, ref := range refs {
		r, err := b.find(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		room, err := ledger.Move("many", "others", r).Size()
		if err != nil {
			t.Fatal(err)
		}
		size += room
	}
	before := commits(t, b)
	allDone(t, b, changesOf(refs, trackio.Change{Kind: trackio.ChangeMove, To: "others"}))
	want := int64((size + ledger.MaxActions - 1) / ledger.MaxActions)
	if n := commits(t, b) - before; n != want || want < 2 {
		t.Errorf("a move of %d runs, %d bytes, took %d commits, want %d", len(refs), size, n, want)
	}
}

// TestCancelledBetweenCommits: what the results say is what has happened, when the
// caller gives up after the first of several commits, or leaves the loop.
func TestCancelledBetweenCommits(t *testing.T) {
	for _, how := range []string{"cancelled", "left"} {
		t.Run(how, func(t *testing.T) {
			b := opened(t, stores()["memory"](t))
			refs := seed(t, b, "alpha", 1500, 2<<10)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			var failed error
			for result, err := range b.ChangeRuns(ctx, changesOf(refs, trackio.Change{Kind: trackio.ChangeMove, To: "beta"})) {
				if err != nil {
					failed = err
					continue
				}
				if n++; result.Err != nil {
					t.Fatal(result.Err)
				}
				if cancel(); how == "left" {
					break
				}
			}
			state, err := b.ledger.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			moved := int(state.Count("beta"))
			if moved == 0 || moved == len(refs) || state.Count("alpha") != int64(len(refs)-moved) {
				t.Errorf("%s: %d of %d runs were moved, want those of one commit", how, moved, len(refs))
			}
			if how == "cancelled" && (n != moved || !errors.Is(failed, context.Canceled)) {
				t.Errorf("%d runs were moved; there were %d results and then the error %v", moved, n, failed)
			}
		})
	}
}

// TestTooLarge: what fits into no commit is refused, and the rest happens.
func TestTooLarge(t *testing.T) {
	b := opened(t, stores()["memory"](t))
	refs := seed(t, b, "alpha", 3, 10)
	changes := changesOf(refs, trackio.Change{Kind: trackio.ChangeRename, Name: "renamed"})
	changes[1].Name = strings.Repeat("n", ledger.MaxCommit)
	before := commits(t, b)
	var kinds []error
	for result, err := range b.ChangeRuns(t.Context(), changes) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, trackio.KindOf(result.Err))
	}
	if want := []error{nil, trackio.ErrInvalid, nil}; !slices.Equal(kinds, want) {
		t.Errorf("the results are of the kinds %v, want %v", kinds, want)
	}
	if n := commits(t, b) - before; n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	if _, err := b.RenameRun(t.Context(), refs[1], changes[1].Name, trackio.RenameOptions{}); trackio.KindOf(err) != trackio.ErrInvalid {
		t.Errorf("RenameRun with that name: %v, want invalid", err)
	}
}

// TestRefusedWritesNothing: changes that are all refused make no commit.
func TestRefusedWritesNothing(t *testing.T) {
	b := opened(t, stores()["memory"](t))
	ref := trackio.RunRef{Project: "alpha", ID: "unknown"}
	for result, err := range b.ChangeRuns(t.Context(), changesOf([]trackio.RunRef{ref, ref}, trackio.Change{Kind: trackio.ChangeDelete})) {
		if err != nil || trackio.KindOf(result.Err) != trackio.ErrNotFound {
			t.Errorf("%v, %v, want not found", result.Err, err)
		}
	}
	for object, err := range b.bucket.List(t.Context(), "") {
		t.Errorf("there is an object %s now (%v)", object.Key, err)
	}
}

// illustrated is a run with so many media files.
func illustrated(name string, files int) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		var metrics trackio.Metrics
		for i := range files {
			metrics.Rows = append(metrics.Rows, trackio.MetricsRow{
				Timestamp: "2026-01-01T10:00:00+00:00", Step: int64(i),
				Metrics: json.RawMessage(fmt.Sprintf(`{"image":{"_type":"trackio.image","file_path":"%06d/a.png"}}`, i)),
			})
		}
		ok := yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: name}, Kinds: trackio.AllKinds}, nil) && yield(&metrics, nil)
		for i := 0; ok && i < files; i++ {
			body := fmt.Appendf(nil, "%s, file %d", name, i)
			ok = yield(&trackio.Media{Path: fmt.Sprintf("%06d/a.png", i), Size: int64(len(body)), Body: bytes.NewReader(body)}, nil)
		}
	}
}

// TestRequestsOfAMove counts what a server is asked for when 500 runs move: the
// same number with 1 file a run and with 1,000. Afterwards the runs are deleted,
// and nothing is left of them.
func TestRequestsOfAMove(t *testing.T) {
	server := servers.Start(t, servers.Versitygw)
	const runs, real = 500, 1
	asked := map[int]map[string]int{}
	for _, files := range []int{1, 1000} {
		b := opened(t, Config{Bucket: server.Bucket(t)})
		refs := seed(t, b, "experiments", runs-real, 2<<10)
		for i := range real {
			ref := trackio.RunRef{Project: "experiments", ID: fmt.Sprint("real", i)}
			if _, err := b.ImportRun(t.Context(), ref, illustrated(ref.ID, files)); err != nil {
				t.Fatal(err)
			}
			refs = append(refs, ref)
		}
		first := commits(t, b)
		before := b.bucket.Requests()
		allDone(t, b, changesOf(refs, trackio.Change{Kind: trackio.ChangeMove, To: "archive"}))
		after := b.bucket.Requests()
		if n := commits(t, b) - first; n != 1 {
			t.Errorf("%d files a run: %d commits, want 1", files, n)
		}
		asked[files] = map[string]int{}
		for method, n := range after.ByMethod {
			asked[files][method] = n - before.ByMethod[method]
		}
		if asked[files]["PUT"] != 1 || after.Total-before.Total > 5 {
			t.Errorf("%d files a run: the move of %d runs took the requests %v, want one PUT and few others", files, len(refs), asked[files])
		}
		t.Logf("%d runs of %d files moved with the requests %v", len(refs), files, asked[files])

		for i := range refs {
			refs[i].Project = "archive"
		}
		allDone(t, b, changesOf(refs, trackio.Change{Kind: trackio.ChangeDelete}))
		for object, err := range b.bucket.List(t.Context(), ledger.DataPrefix) {
			t.Errorf("object %s is left (%v)", object.Key, err)
			break
		}
	}
	if fmt.Sprint(asked[1]) != fmt.Sprint(asked[1000]) {
		t.Errorf("the move took the requests %v with 1 file a run, and %v with 1,000", asked[1], asked[1000])
	}
}
