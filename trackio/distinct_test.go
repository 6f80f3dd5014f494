package trackio_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// folding is a storage that takes upper and lower case of a project for the same,
// as some file systems do.
type folding struct{ trackio.Backend }

func fold(ref trackio.RunRef) trackio.RunRef {
	return trackio.RunRef{Project: strings.ToLower(ref.Project), ID: ref.ID}
}

func (f folding) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	return f.Backend.GetRun(ctx, fold(ref))
}

func (f folding) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) recordSeq {
	return f.Backend.ExportRun(ctx, fold(ref), opts)
}

func (f folding) ImportRun(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
	return f.Backend.ImportRun(ctx, fold(ref), records)
}

func (f folding) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	return f.Backend.DeleteRun(ctx, fold(ref), opts)
}

// TestMoveOntoItself moves a run to where it is, by ways that do not look like it.
// The run that "is there already" is the run itself, and must stay.
func TestMoveOntoItself(t *testing.T) {
	ctx := t.Context()
	mem := memory.NewStore()
	for name, c := range map[string]struct {
		from, to trackio.Backend
		project  string
	}{
		"two handles":       {mem.Open(), mem.Open(), here.Project},
		"two plain handles": {folding{mem.Open()}, folding{mem.Open()}, here.Project},
		"two spellings":     {folding{mem.Open()}, folding{mem.Open()}, "HERE"},
		"one handle, two spellings": func() struct {
			from, to trackio.Backend
			project  string
		} {
			b := &folding{mem.Open()}
			return struct {
				from, to trackio.Backend
				project  string
			}{b, b, "HERE"}
		}(),
		"an answer that was lost": {mem.Open(), &altered{Backend: mem.Open(), importRun: func(_ context.Context, ref trackio.RunRef, _ recordSeq) (trackio.RunInfo, error) {
			if ref.ID == here.ID {
				return trackio.RunInfo{}, away
			}
			return mem.Open().ImportRun(ctx, ref, sequence(sampleRun(), nil))
		}}, here.Project},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			look := mem.Open()
			if _, err := look.ImportRun(ctx, here, sequence(sampleRun(), nil)); err != nil && trackio.KindOf(err) != trackio.ErrExists {
				t.Fatal(err)
			}
			want := contentOf(t, look, here)
			run, err := trackio.New(c.from).Run(ctx, here.Project, here.ID)
			if err != nil {
				t.Fatal(err)
			}
			err = run.MoveTo(ctx, trackio.New(c.to), c.project, trackio.MoveOptions{Force: true})
			if trackio.KindOf(err) != trackio.ErrInvalid || !strings.Contains(err.Error(), "one storage") || trackio.HintOf(err) == "" {
				t.Errorf("MoveTo: %v, want invalid with a hint", err)
			}
			if contentOf(t, look, here) != want {
				t.Fatal("the run was deleted as its own copy")
			}
			only(t, look, here)
		})
	}
}

// only checks that a storage holds one run and nothing beside it.
func only(t *testing.T, b trackio.Backend, ref trackio.RunRef) {
	t.Helper()
	for project, err := range b.ListProjects(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for info, err := range b.ListRuns(context.Background(), project, trackio.ListOptions{}) {
			if err != nil || info.RunRef != ref {
				t.Errorf("run %q of project %q was left behind (%v)", info.ID, project, err)
			}
		}
	}
}

// TestInterruptedMoveOfEqualRevisions completes moves where the revision does not
// tell the copy from the run, and refuses when it cannot find out.
func TestInterruptedMoveOfEqualRevisions(t *testing.T) {
	probed := func(ref trackio.RunRef) bool { return ref.ID != here.ID }
	for _, c := range []struct {
		name  string
		spoil func(r *rig)
		kind  error
	}{
		{"two storages", nil, nil},
		{"a probe that a killed move has left", func(r *rig) {
			imported := r.to.Backend.ImportRun
			killed := func(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
				info, err := imported(ctx, ref, records)
				if probed(ref) {
					r.from.getRun = func(context.Context, trackio.RunRef) (trackio.RunInfo, error) { return trackio.RunInfo{}, died }
				}
				return info, err
			}
			r.to.importRun = killed
			r.to.deleteRun = func(context.Context, trackio.RunRef, trackio.DeleteOptions) error { return died }
			if err := r.move(context.Background(), trackio.MoveOptions{}); trackio.KindOf(err) != trackio.ErrBackendDied {
				r.t.Errorf("the first move: %v", err)
			}
			if r.state(r.sourceHandle, here) != whole {
				r.t.Fatal("the first move deleted the run")
			}
			r.from.getRun, r.to.importRun, r.to.deleteRun = nil, nil, nil
		}, nil},
		{"a target that cannot be written to", func(r *rig) {
			r.to.importRun = func(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
				if probed(ref) {
					return trackio.RunInfo{}, refused
				}
				return r.to.Backend.ImportRun(ctx, ref, records)
			}
		}, trackio.ErrPermission},
		{"a source that does not answer", func(r *rig) {
			r.from.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				if probed(ref) {
					return trackio.RunInfo{}, away
				}
				return r.from.Backend.GetRun(ctx, ref)
			}
		}, trackio.ErrUnavailable},
		{"a probe that another process takes away", func(r *rig) {
			r.from.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				if probed(ref) {
					inTarget := trackio.RunRef{Project: there.Project, ID: ref.ID}
					if err := r.targetHandle.DeleteRun(ctx, inTarget, trackio.DeleteOptions{}); err != nil {
						r.t.Error(err)
					}
				}
				return r.from.Backend.GetRun(ctx, ref)
			}
		}, trackio.ErrConflict},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			r := newRig(t, true)
			r.put(r.targetHandle, there, sampleRun())
			info, err := r.targetHandle.GetRun(t.Context(), there)
			if err != nil || info.Revision != r.run.Info().Revision {
				t.Fatalf("the revisions are %q and %q (%v), so this test shows nothing", info.Revision, r.run.Info().Revision, err)
			}
			if c.spoil != nil {
				c.spoil(r)
			}
			err = r.move(t.Context(), trackio.MoveOptions{})
			if !errors.Is(err, c.kind) || trackio.KindOf(err) != c.kind {
				t.Errorf("got %v, want the kind %v", err, c.kind)
			}
			if c.kind == nil {
				r.expect(none, whole)
			} else {
				r.expect(whole, whole)
			}
		})
	}
}

// uncomparable is a backend that == would panic on.
type uncomparable struct {
	trackio.Backend
	_ []int
}

func TestMoveBetweenUncomparableBackends(t *testing.T) {
	r := newRig(t, false)
	run, err := trackio.New(uncomparable{Backend: r.from}).Run(t.Context(), here.Project, here.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.MoveTo(t.Context(), trackio.New(uncomparable{Backend: r.to}), there.Project, trackio.MoveOptions{}); err != nil {
		t.Fatal(err)
	}
	r.expect(none, whole)
}
