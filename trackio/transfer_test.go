package trackio_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

var (
	died    = trackio.Errorf(trackio.ErrBackendDied, "the process is gone")
	away    = trackio.Errorf(trackio.ErrUnavailable, "no route to the storage")
	refused = trackio.Errorf(trackio.ErrPermission, "read-only")
)

// transferCase is one thing that goes wrong, and what must be found afterwards.
// Unless they are told apart, copy and move end alike, but for the source.
type transferCase struct {
	name   string
	spoil  func(r *rig)
	kind   error  // nil for success
	says   string // in the message, or in the hint
	source string // where it is not whole; after a success of a move, none is meant
	target string
	only   string // "move" or "copy"; "" for both
}

func TestTransfer(t *testing.T) {
	for _, cases := range [][]transferCase{importCases(), corruptionCases(), sourceCases(), deletionCases(), existingCases()} {
		for _, c := range cases {
			for _, way := range []string{"copy", "move"} {
				if c.only != "" && c.only != way {
					continue
				}
				t.Run(way+"/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) { c.run(t, way) })
			}
		}
	}
}

func (c transferCase) run(t *testing.T, way string) {
	r := newRig(t, false)
	if c.spoil != nil {
		c.spoil(r)
	}
	var err error
	if way == "copy" {
		err = r.copy(t.Context(), trackio.CopyOptions{})
	} else {
		err = r.move(t.Context(), trackio.MoveOptions{})
	}
	if !errors.Is(err, c.kind) || trackio.KindOf(err) != c.kind {
		t.Errorf("got the kind %v, want %v: %v", trackio.KindOf(err), c.kind, err)
	}
	if err != nil && !strings.Contains(err.Error()+trackio.HintOf(err), c.says) {
		t.Errorf("the error %q (%s) does not say %q", err, trackio.HintOf(err), c.says)
	}
	source := c.source
	if source == "" {
		source = whole
		if way == "move" && c.kind == nil {
			source = none
		}
	}
	r.expect(source, c.target)
	if way == "move" {
		backend, project := r.run.Project(), here.Project
		if c.kind == nil {
			project = there.Project
		}
		if backend != project {
			t.Errorf("the Run says it is in %q, want %q", backend, project)
		}
	}
}

// TestTransferForce sees what force lets pass.
func TestTransferForce(t *testing.T) {
	r := newRig(t, false)
	r.replace(r.sourceHandle, here, undelivered())
	r.load()
	if err := r.copy(t.Context(), trackio.CopyOptions{Force: true}); err != nil {
		t.Errorf("copy of a run that is not delivered, by force: %v", err)
	}
	if err := r.move(t.Context(), trackio.MoveOptions{Force: true}); err != nil {
		t.Errorf("move of a run that is not delivered, by force: %v", err)
	}
	r.expect(none, whole)
	all := sampleRun()
	all[4].(*trackio.Alerts).Rows[0].Timestamp = trackio.FormatTime(time.Now())
	if err := r.targetHandle.DeleteRun(t.Context(), there, trackio.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.put(r.sourceHandle, here, all)
	r.load()
	r.content = contentOf(t, r.sourceHandle, here)
	if err := r.move(t.Context(), trackio.MoveOptions{Force: true}); err != nil {
		t.Errorf("move of a run that is written to, by force: %v", err)
	}
	r.expect(none, whole)
}

// TestTransferIfRevision moves only the state that was looked at, also when the run
// changes between the first look and the export.
func TestTransferIfRevision(t *testing.T) {
	for _, late := range []bool{false, true} {
		r := newRig(t, false)
		seen := r.run.Info().Revision
		r.from.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
			info, err := r.from.Backend.GetRun(ctx, ref)
			if late {
				r.replace(r.sourceHandle, here, grown())
			}
			return info, err
		}
		if !late {
			r.replace(r.sourceHandle, here, grown())
		}
		err := r.move(t.Context(), trackio.MoveOptions{IfRevision: seen})
		if trackio.KindOf(err) != trackio.ErrConflict {
			t.Errorf("a move of a state that is over (it changes late: %t): %v, want a conflict", late, err)
		}
		r.expect(other, none)
	}
	r := newRig(t, false)
	if err := r.move(t.Context(), trackio.MoveOptions{IfRevision: r.run.Info().Revision}); err != nil {
		t.Error(err)
	}
	r.expect(none, whole)
}

// TestCopyAsAnotherRun sees that a copy with an id of its own has no key of the
// other's, and all the rest.
func TestCopyAsAnotherRun(t *testing.T) {
	r := newRig(t, false)
	r.replace(r.sourceHandle, here, undelivered())
	r.load()
	same := trackio.New(r.from)
	if _, err := r.run.Copy(t.Context(), same, "elsewhere", trackio.CopyOptions{}); trackio.KindOf(err) != trackio.ErrConflict {
		t.Errorf("copy of a run that is not delivered, with its id: %v, want a conflict", err)
	}
	for range 2 { // the second finds the same copy
		made, err := r.run.Copy(t.Context(), same, here.Project, trackio.CopyOptions{ID: "2"})
		if err != nil {
			if trackio.KindOf(err) != trackio.ErrExists || !strings.Contains(err.Error(), "very same") {
				t.Fatal(err)
			}
			break
		}
		if made.ID() != "2" || made.Project() != here.Project || made.Name() != "sample" {
			t.Errorf("the copy is run %q named %q in %q", made.ID(), made.Name(), made.Project())
		}
	}
	want := undelivered()
	for i := range want[2].(*trackio.Metrics).Rows {
		want[2].(*trackio.Metrics).Rows[i].LogID = ""
	}
	want[3].(*trackio.SystemMetrics).Rows[0].LogID = ""
	want[4].(*trackio.Alerts).Rows[0].AlertID = ""
	trace := &want[5].(*trackio.Traces).Rows[0]
	trace.ID, trace.LogID = "2:t", ""
	r.put(r.sourceHandle, trackio.RunRef{Project: "wanted", ID: "2"}, want)
	ref := trackio.RunRef{Project: here.Project, ID: "2"}
	if got, want := contentOf(t, r.sourceHandle, ref), contentOf(t, r.sourceHandle, trackio.RunRef{Project: "wanted", ID: "2"}); got != want {
		t.Errorf("the copy has the digest %s, want %s", got, want)
	}
	for record, err := range r.sourceHandle.ExportRun(t.Context(), ref, trackio.ExportOptions{}) {
		if s, ok := record.(*trackio.SystemMetrics); err != nil || ok && s.Rows[0].SpaceID != "" {
			t.Errorf("the copy has the space id %v (%v)", s, err)
		}
	}
	r.expect(whole, none)
	if _, err := r.run.Copy(t.Context(), same, here.Project, trackio.CopyOptions{}); trackio.KindOf(err) != trackio.ErrExists {
		t.Errorf("copy onto the run itself: %v, want exists", err)
	}
}

// TestTransferToReservedProject sees that no new project of a reserved name comes
// into being.
func TestTransferToReservedProject(t *testing.T) {
	r := newRig(t, false)
	for _, project := range []string{"registry-x", "a_system"} {
		if _, err := r.run.Copy(t.Context(), r.over, project, trackio.CopyOptions{}); trackio.KindOf(err) != trackio.ErrInvalid {
			t.Errorf("Copy to %q: %v, want invalid", project, err)
		}
		if err := r.run.MoveTo(t.Context(), r.over, project, trackio.MoveOptions{}); trackio.KindOf(err) != trackio.ErrInvalid {
			t.Errorf("MoveTo %q: %v, want invalid", project, err)
		}
	}
	r.expect(whole, none)
}

// TestTransferDerivedID sees that a run which was known by its name gets the id
// that its storage has derived, the same on every try.
func TestTransferDerivedID(t *testing.T) {
	r := newRig(t, false)
	byName := func(info trackio.RunInfo) trackio.RunInfo {
		info.DerivedID = trackio.DeriveRunID(info.Project, info.Name, day(1))
		return info
	}
	r.from.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
		info, err := r.from.Backend.GetRun(ctx, ref)
		return byName(info), err
	}
	id := trackio.DeriveRunID(here.Project, "sample", day(1))
	made, err := r.run.Copy(t.Context(), r.over, there.Project, trackio.CopyOptions{})
	if err != nil || made.ID() != id {
		t.Fatalf("Copy: %v, want the id %s", err, id)
	}
	if err := r.move(t.Context(), trackio.MoveOptions{}); err != nil || r.run.ID() != id {
		t.Errorf("MoveTo: %v, the run has the id %s, want %s", err, r.run.ID(), id)
	}
	if got := r.state(r.targetHandle, trackio.RunRef{Project: there.Project, ID: id}); got != whole || r.state(r.sourceHandle, here) != none {
		t.Errorf("after the move the target has it %s, the source %s", got, r.state(r.sourceHandle, here))
	}
}

// TestTwoMovesAtOnce moves one run twice at the same time, by two handles, as two
// processes would. Whoever wins, the run is in the target, and only there.
func TestTwoMovesAtOnce(t *testing.T) {
	for i := range 200 {
		r := newRig(t, i%2 == 0)
		errs := make([]error, 2)
		runs := make([]*trackio.Run, len(errs))
		for n := range runs {
			var err error
			if runs[n], err = trackio.New(r.source.Open()).Run(t.Context(), here.Project, here.ID); err != nil {
				t.Fatal(err)
			}
		}
		var group sync.WaitGroup
		for n := range errs {
			group.Go(func() {
				errs[n] = runs[n].MoveTo(t.Context(), trackio.New(r.target.Open()), there.Project, trackio.MoveOptions{})
			})
		}
		group.Wait()
		if errs[0] != nil && errs[1] != nil {
			t.Errorf("neither move succeeded: %v", errors.Join(errs...))
		}
		r.expect(none, whole)
		if t.Failed() {
			return
		}
	}
}
