package backendtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

func transferChecks() []Check {
	return []Check{
		{"transfer/copy", "Every row and every file of it was compared with what was read, before Copy returns nil.", transferCopy},
		{"transfer/new-id", "A copy with another id is another run: it gets no log ids, alert ids and space ids, which are keys of what a client has sent, and its traces get ids of their own.", transferNewID},
		{"transfer/exists", "[ErrExists] when the id is taken there.", transferExists},
		{"transfer/move", "Nothing is deleted that is not whole over there", transferMove},
		{"transfer/interrupted", "a move that was interrupted is completed by the next one.", transferInterrupted},
		{"transfer/undelivered", "copies even rows that are not delivered yet", transferUndelivered},
		{"transfer/taken-back", "A call that returns an error has changed nothing", transferTakenBack},
		{"transfer/onto-itself", "two configurations may name one storage", transferOntoItself},
	}
}

// required hides the capabilities of a backend, so that the core must copy.
type required struct{ trackio.Backend }

// route is a way on which the backend takes part in a transfer.
type route struct {
	name           string
	from, to       trackio.Backend
	source, target trackio.RunRef
}

// routes are those from the storage, into it, and from one of its projects to
// another.
func routes(e *Env) []route {
	there := func() (trackio.RunRef, trackio.RunRef) {
		source := e.ref()
		return source, trackio.RunRef{Project: e.Project(), ID: source.ID}
	}
	all := []route{
		{name: "to another storage", from: e.Backend, to: memory.New()},
		{name: "from another storage", from: memory.New(), to: e.Backend},
		{name: "to another project", from: required{e.Backend}, to: required{e.Backend}},
	}
	for i := range all {
		all[i].source, all[i].target = there()
	}
	return all
}

// each runs a part of a check on every route.
func each(e *Env, check func(r route) error) error {
	for _, r := range routes(e) {
		if err := check(r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// load stores a run at the beginning of the route.
func (r route) load(ctx context.Context, stored run) (*trackio.Run, error) {
	if _, err := put(ctx, r.from, r.source, stored); err != nil {
		return nil, err
	}
	loaded, err := trackio.New(r.from).Run(ctx, r.source.Project, r.source.ID)
	if err != nil {
		return nil, fmt.Errorf("GetRun(%s): %w", at(r.source), err)
	}
	return loaded, nil
}

func (r route) copy(ctx context.Context, loaded *trackio.Run, opts trackio.CopyOptions) error {
	_, err := loaded.Copy(ctx, trackio.New(r.to), r.target.Project, opts)
	return err
}

func (r route) move(ctx context.Context, loaded *trackio.Run, opts trackio.MoveOptions) error {
	return loaded.MoveTo(ctx, trackio.New(r.to), r.target.Project, opts)
}

// both copies the run and then moves it, and yields what each call returned, the
// second when the first has been looked at.
func (r route) both(ctx context.Context, loaded *trackio.Run, force bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		_ = yield("Copy", r.copy(ctx, loaded, trackio.CopyOptions{Force: force})) &&
			yield("MoveTo", r.move(ctx, loaded, trackio.MoveOptions{Force: force}))
	}
}

// arrived checks that the run is whole at the end of the route, and gone from its
// beginning.
func (r route) arrived(ctx context.Context, want run) error {
	if err := holds(ctx, r.to, r.target, want); err != nil {
		return fmt.Errorf("in the target: %w", err)
	}
	if err := absent(ctx, r.from, r.source); err != nil {
		return fmt.Errorf("in the old place, after a move: %w", err)
	}
	return nil
}

// refused checks that nothing has changed: the run is where it was, and what is in
// the target, nil for nothing, is still there.
func (r route) refused(ctx context.Context, source run, target *run) error {
	if err := holds(ctx, r.from, r.source, source); err != nil {
		return fmt.Errorf("in the old place, after a transfer that failed: %w", err)
	}
	var err error
	if target == nil {
		err = absent(ctx, r.to, r.target)
	} else {
		err = holds(ctx, r.to, r.target, *target)
	}
	if err != nil {
		return fmt.Errorf("in the target, after a transfer that failed: %w", err)
	}
	return nil
}

func transferCopy(ctx context.Context, e *Env) error {
	return each(e, func(r route) error {
		want := full(e.Key(), "copied")
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		revision, err := revisionOf(ctx, r.from, r.source)
		if err != nil {
			return err
		}
		if err := r.copy(ctx, loaded, trackio.CopyOptions{Force: true}); err != nil {
			return fmt.Errorf("Copy: %w", err)
		}
		if err := errors.Join(holds(ctx, r.to, r.target, want), holds(ctx, r.from, r.source, want)); err != nil {
			return fmt.Errorf("after Copy: %w", err)
		}
		got, err := digestOf(r.to.ExportRun(ctx, r.target, trackio.ExportOptions{NoBodies: true}))
		if err != nil {
			return err
		}
		if got != want.digest() {
			return fmt.Errorf("the copy has the content digest %s, want %s", got, want.digest())
		}
		after, err := revisionOf(ctx, r.from, r.source)
		if err != nil {
			return err
		}
		if after != revision {
			return fmt.Errorf("being copied changed the revision of the run from %q to %q", revision, after)
		}
		return nil
	})
}

// another is the run as a copy with that id has it.
func (r run) another(id string) run {
	r = r.delivered()
	r.alerts = slices.Clone(r.alerts)
	for i := range r.metrics {
		r.metrics[i].LogID = ""
	}
	for i := range r.system {
		r.system[i].LogID = ""
	}
	for i := range r.alerts {
		r.alerts[i].AlertID = ""
	}
	for i := range r.traces {
		r.traces[i].ID, r.traces[i].LogID = id+":"+r.traces[i].ID, ""
	}
	return r
}

// transferNewID copies a run beside itself, where both have one name, and then
// takes one away: neither lives on the other's files.
func transferNewID(ctx context.Context, e *Env) error {
	for _, first := range []string{"the run", "the copy"} {
		source := e.ref()
		want := full(e.Key(), "one name")
		r := route{from: e.Backend, to: e.Backend, source: source, target: trackio.RunRef{Project: source.Project, ID: e.Key()}}
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		if err := r.copy(ctx, loaded, trackio.CopyOptions{ID: r.target.ID, Force: true}); err != nil {
			return fmt.Errorf("Copy with an id of its own: %w", err)
		}
		both := map[trackio.RunRef]run{source: want, r.target: want.another(r.target.ID)}
		if err := holdsAll(ctx, e.Backend, both); err != nil {
			return fmt.Errorf("after Copy with an id of its own: %w", err)
		}
		gone := source
		if first == "the copy" {
			gone = r.target
		}
		if err := e.Backend.DeleteRun(ctx, gone, trackio.DeleteOptions{}); err != nil {
			return fmt.Errorf("DeleteRun(%s): %w", at(gone), err)
		}
		delete(both, gone)
		if err := holdsAll(ctx, e.Backend, both); err != nil {
			return fmt.Errorf("after the deletion of %s: %w", first, err)
		}
	}
	return nil
}

func transferExists(ctx context.Context, e *Env) error {
	return each(e, func(r route) error {
		want := full(e.Key(), "mine").delivered()
		theirs := withMedia(e.Key(), "theirs", newFile("3/a.png", []byte("other bytes")))
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		if _, err := put(ctx, r.to, r.target, theirs); err != nil {
			return err
		}
		for what, err := range r.both(ctx, loaded, true) {
			if err := wantKind(what+" to where another run has the id", err, trackio.ErrExists); err != nil {
				return err
			}
		}
		return r.refused(ctx, want, &theirs)
	})
}

// watching is a source that looks at the target when the run is to be deleted.
type watching struct {
	trackio.Backend
	before func() error
}

func (w watching) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	if err := w.before(); err != nil {
		return err
	}
	return w.Backend.DeleteRun(ctx, ref, opts)
}

func transferMove(ctx context.Context, e *Env) error {
	return each(e, func(r route) error {
		want := full(e.Key(), "moved")
		r.from = &watching{r.from, func() error {
			if err := holds(ctx, r.to, r.target, want); err != nil {
				return fmt.Errorf("the run is to be deleted, and in the target: %w", err)
			}
			return nil
		}}
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		if err := r.move(ctx, loaded, trackio.MoveOptions{Force: true}); err != nil {
			return fmt.Errorf("MoveTo: %w", err)
		}
		if loaded.Project() != r.target.Project || loaded.ID() != r.target.ID {
			return fmt.Errorf("after MoveTo the Run is %q in %q, want %s", loaded.ID(), loaded.Project(), at(r.target))
		}
		return r.arrived(ctx, want)
	})
}

func transferInterrupted(ctx context.Context, e *Env) error {
	return each(e, func(r route) error {
		want := full(e.Key(), "interrupted").delivered()
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		if err := r.copy(ctx, loaded, trackio.CopyOptions{}); err != nil {
			return fmt.Errorf("Copy: %w", err)
		}
		err = r.copy(ctx, loaded, trackio.CopyOptions{})
		if err := wantKind("Copy to where the very same run is", err, trackio.ErrExists); err != nil {
			return err
		}
		if err := r.move(ctx, loaded, trackio.MoveOptions{}); err != nil {
			return fmt.Errorf("MoveTo, after one that was interrupted: %w", err)
		}
		if err := r.arrived(ctx, want); err != nil {
			return err
		}
		infos, err := listRuns(ctx, r.to, r.target.Project, trackio.ListOptions{})
		if err != nil {
			return fmt.Errorf("ListRuns(%q): %w", r.target.Project, err)
		}
		if len(infos) != 1 {
			return fmt.Errorf("after the move the target lists %d runs, want one", len(infos))
		}
		return nil
	})
}

func transferUndelivered(ctx context.Context, e *Env) error {
	return each(e, func(r route) error {
		want := full(e.Key(), "waiting")
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		for what, err := range r.both(ctx, loaded, false) {
			if err := wantKind(what+" of a run with rows that are not delivered", err, trackio.ErrConflict); err != nil {
				return err
			}
			if err := r.refused(ctx, want, nil); err != nil {
				return err
			}
		}
		if err := r.move(ctx, loaded, trackio.MoveOptions{Force: true}); err != nil {
			return fmt.Errorf("MoveTo of a run with rows that are not delivered, with Force: %w", err)
		}
		return r.arrived(ctx, want)
	})
}

// lossy is a target that loses the alerts on their way in.
type lossy struct{ trackio.Backend }

func (l lossy) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	return l.Backend.ImportRun(ctx, ref, func(yield func(trackio.Record, error) bool) {
		for record, err := range records {
			if _, ok := record.(*trackio.Alerts); !ok && !yield(record, err) {
				return
			}
		}
	})
}

// transferTakenBack lets a transfer fail when the copy is there already: because
// the copy is not whole, or because the run changes before it is deleted.
func transferTakenBack(ctx context.Context, e *Env) error {
	return each(e, func(r route) error {
		want := full(e.Key(), "stays").delivered()
		loaded, err := r.load(ctx, want)
		if err != nil {
			return err
		}
		honest := r.to
		r.to = &lossy{honest}
		for what, err := range r.both(ctx, loaded, false) {
			if err := wantKind(what+" to a storage that loses the alerts", err, trackio.ErrDataLoss); err != nil {
				return err
			}
			if err := r.refused(ctx, want, nil); err != nil {
				return err
			}
		}
		r.to = honest

		changed := full(e.Key(), "has changed").delivered()
		changing := r
		changing.from = &watching{r.from, func() error {
			if err := r.from.DeleteRun(ctx, r.source, trackio.DeleteOptions{}); err != nil {
				return err
			}
			_, err := put(ctx, r.from, r.source, changed)
			return err
		}}
		if loaded, err = trackio.New(changing.from).Run(ctx, r.source.Project, r.source.ID); err != nil {
			return fmt.Errorf("GetRun(%s): %w", at(r.source), err)
		}
		err = changing.move(ctx, loaded, trackio.MoveOptions{})
		if err := wantKind("MoveTo of a run that changes before it is deleted", err, trackio.ErrConflict); err != nil {
			return err
		}
		return r.refused(ctx, changed, nil)
	})
}

// transferOntoItself moves a run to its own project through another handle: the
// run that is there already is the run itself.
func transferOntoItself(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	ref := e.ref()
	want := full(e.Key(), "stays").delivered()
	r := route{from: e.Backend, to: other, source: ref, target: ref}
	loaded, err := r.load(ctx, want)
	if err != nil {
		return err
	}
	err = r.move(ctx, loaded, trackio.MoveOptions{Force: true})
	if lost := holds(ctx, e.Backend, ref, want); lost != nil {
		return fmt.Errorf("a run was moved to where it is, through another handle, and was deleted as its own copy: %w", lost)
	}
	if err := wantKind("MoveTo of a run to where it is, through another handle,", err, trackio.ErrInvalid, trackio.ErrExists); err != nil {
		return err
	}
	infos, err := listRuns(ctx, other, ref.Project, trackio.ListOptions{})
	if err != nil {
		return fmt.Errorf("ListRuns(%q): %w", ref.Project, err)
	}
	if len(infos) != 1 {
		return fmt.Errorf("a refused move left %d runs in the project, want one", len(infos))
	}
	return nil
}
