package wire

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// keeper is a stub that can delete projects, and examine and clean its storage.
type keeper struct {
	stub
	deleteProject func(string, trackio.DeleteOptions) error
	examine       func(trackio.ExamineOptions) iter.Seq2[trackio.Finding, error]
	collect       func(context.Context, trackio.CollectOptions) iter.Seq2[trackio.Garbage, error]
}

func (k *keeper) DeleteProject(_ context.Context, project string, opts trackio.DeleteOptions) error {
	return k.deleteProject(project, opts)
}

func (k *keeper) Examine(_ context.Context, opts trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
	return k.examine(opts)
}

func (k *keeper) Collect(ctx context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	return k.collect(ctx, opts)
}

func TestDerivedIDPasses(t *testing.T) {
	want := trackio.RunInfo{RunRef: trackio.RunRef{Project: "p", ID: "by name"}, Name: "by name", DerivedID: "0123abcd"}
	client := connect(t, NewServer(&stub{
		getRun: func(context.Context, trackio.RunRef) (trackio.RunInfo, error) { return want, nil },
		exportRun: func(context.Context, trackio.RunRef, trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
			return sequence(nil, &trackio.Header{RunInfo: want})
		},
	}))
	if got, err := client.GetRun(t.Context(), want.RunRef); err != nil || got.DerivedID != want.DerivedID {
		t.Errorf("GetRun: DerivedID %q, %v, want %q", got.DerivedID, err, want.DerivedID)
	}
	got, err := take(client.ExportRun(t.Context(), want.RunRef, trackio.ExportOptions{}))
	if err != nil || len(got.records) != 1 || got.records[0].(*trackio.Header).DerivedID != want.DerivedID {
		t.Errorf("ExportRun: %+v, %v, want a header with the derived id %q", got.records, err, want.DerivedID)
	}
}

func TestDeleteProjectPasses(t *testing.T) {
	var asked []string
	refusal := trackio.Errorf(trackio.ErrConflict, "run %q is still written to", "r").WithHint("wait")
	backend := &keeper{deleteProject: func(project string, opts trackio.DeleteOptions) error {
		asked = append(asked, fmt.Sprint(project, " ", opts.Force))
		if !opts.Force {
			return refusal
		}
		return nil
	}}
	client := connect(t, NewServer(backend), CapabilitiesOf(backend)...)
	deleter, ok := trackio.As[trackio.ProjectDeleter](client)
	if !ok {
		t.Fatal("the capability is lost")
	}
	err := deleter.DeleteProject(t.Context(), "p", trackio.DeleteOptions{})
	if trackio.KindOf(err) != trackio.ErrConflict || trackio.HintOf(err) != "wait" || err.Error() != refusal.Error() {
		t.Errorf("got %v with the hint %q, want %v", err, trackio.HintOf(err), refusal)
	}
	if err := deleter.DeleteProject(t.Context(), "q", trackio.DeleteOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if want := []string{"p false", "q true"}; !reflect.DeepEqual(asked, want) {
		t.Errorf("the backend was asked for %q, want %q", asked, want)
	}
}

// TestFindingsPass sends more than one message holds, and then an error.
func TestFindingsPass(t *testing.T) {
	var want []trackio.Finding
	for i := range 5 {
		want = append(want, trackio.Finding{
			Kind: trackio.FindingOperation, Project: "p", RunID: fmt.Sprint(i),
			Message: strings.Repeat("m", frameSize/2), Hint: "way out", Fixed: i%2 == 1,
		})
	}
	fixed := false
	backend := &keeper{examine: func(opts trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
		fixed = opts.Fix
		return func(yield func(trackio.Finding, error) bool) {
			for _, f := range want {
				if !yield(f, nil) {
					return
				}
			}
			yield(trackio.Finding{}, trackio.Errorf(trackio.ErrPermission, "the rest cannot be read"))
		}
	}}
	client := connect(t, NewServer(backend), CapabilitiesOf(backend)...)
	examiner, ok := trackio.As[trackio.Examiner](client)
	if !ok {
		t.Fatal("the capability is lost")
	}
	for _, fix := range []bool{true, false} {
		var got []trackio.Finding
		var failed error
		for f, err := range examiner.Examine(t.Context(), trackio.ExamineOptions{Fix: fix}) {
			if err != nil {
				failed = err
				continue
			}
			got = append(got, f)
		}
		if !reflect.DeepEqual(got, want) || trackio.KindOf(failed) != trackio.ErrPermission {
			t.Errorf("%d findings came, want %d; then %v, want %v", len(got), len(want), failed, trackio.ErrPermission)
		}
		if fixed != fix {
			t.Errorf("the backend got Fix=%t, want %t", fixed, fix)
		}
	}
}

// TestUndeclaredCallsAreUnsupported calls what the server's backend cannot do.
func TestUndeclaredCallsAreUnsupported(t *testing.T) {
	client := connect(t, NewServer(&stub{}),
		backendv1.Capability_CAPABILITY_DELETE_PROJECT, backendv1.Capability_CAPABILITY_EXAMINE, backendv1.Capability_CAPABILITY_COLLECT,
		backendv1.Capability_CAPABILITY_CHANGE_RUNS)
	deleter, _ := trackio.As[trackio.ProjectDeleter](client)
	if err := deleter.DeleteProject(t.Context(), "p", trackio.DeleteOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("DeleteProject: %v, want unsupported", err)
	}
	examiner, _ := trackio.As[trackio.Examiner](client)
	n := 0
	for _, err := range examiner.Examine(t.Context(), trackio.ExamineOptions{}) {
		if n++; !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Examine: %v, want unsupported", err)
		}
	}
	if n != 1 {
		t.Errorf("Examine yielded %d times, want one error", n)
	}
	collector, _ := trackio.As[trackio.Collector](client)
	n = 0
	for _, err := range collector.Collect(t.Context(), trackio.CollectOptions{}) {
		if n++; !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Collect: %v, want unsupported", err)
		}
	}
	if n != 1 {
		t.Errorf("Collect yielded %d times, want one error", n)
	}
	changer, _ := trackio.As[trackio.BulkChanger](client)
	n = 0
	for _, err := range changer.ChangeRuns(t.Context(), nil) {
		if n++; !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ChangeRuns: %v, want unsupported", err)
		}
	}
	if n != 1 {
		t.Errorf("ChangeRuns yielded %d times, want one error", n)
	}
}
