package s3

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// change commits what decide makes of a run. Decide is called with the state
// that the commit applies to, and again when somebody else's commit came first.
func (b *Backend) change(ctx context.Context, ref trackio.RunRef, decide func(context.Context, *ledger.State, *ledger.Run) (ledger.Action, error)) (*ledger.Run, int64, error) {
	if _, err := b.find(ctx, ref); err != nil { // before anything is written
		return nil, 0, err
	}
	if err := b.writable(ctx); err != nil {
		return nil, 0, err
	}
	var found *ledger.Run
	seq, err := b.ledger.Commit(ctx, func(ctx context.Context, state *ledger.State) ([]ledger.Action, error) {
		var err error
		if found, err = runIn(ctx, state, ref); err != nil {
			return nil, err
		}
		action, err := decide(ctx, state, found)
		if err != nil {
			return nil, err
		}
		return []ledger.Action{action}, nil
	})
	return found, seq, err
}

// guard reports why a run must not be changed.
func (b *Backend) guard(ref trackio.RunRef, r *ledger.Run, verb, ifRevision string, force bool) error {
	if ifRevision != "" && ifRevision != r.Revision() {
		return trackio.Errorf(trackio.ErrConflict, "run %q has changed since it was looked at; it was not %s", ref.ID, verb).
			WithHint("look at it again, then repeat")
	}
	if updated := r.Updated(); !force && !updated.IsZero() && b.now().Sub(updated) < liveWindow {
		return trackio.Errorf(trackio.ErrConflict, "run %q is still being written to: its last row is of %s; it was not %s", ref.ID, r.UpdatedAt, verb).
			WithHint("wait until the training has ended, or force it")
	}
	return nil
}

// MoveRun implements [trackio.Mover]. It is one commit, and no data is touched.
func (b *Backend) MoveRun(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	switch {
	case project == ref.Project:
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "run %q is in project %q already", ref.ID, project).
			WithHint("name another project")
	case project == "", project != trackio.CanonicalProject(project):
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "%q is no name of a project", project)
	}
	target := trackio.RunRef{Project: project, ID: ref.ID}
	var moved ledger.Run
	_, seq, err := b.change(ctx, ref, func(ctx context.Context, state *ledger.State, r *ledger.Run) (ledger.Action, error) {
		if err := b.guard(ref, r, "moved", opts.IfRevision, opts.Force); err != nil {
			return ledger.Action{}, err
		}
		if r.Undelivered > 0 && !opts.Force {
			return ledger.Action{}, trackio.Errorf(trackio.ErrConflict, "run %q has %d rows that Trackio has not delivered to its Space yet; it was not moved", ref.ID, r.Undelivered).
				WithHint("deliver them first, or force it: they are then delivered from the new place")
		}
		switch _, err := runIn(ctx, state, target); {
		case err == nil:
			return ledger.Action{}, errTaken(target)
		case !errors.Is(err, trackio.ErrNotFound):
			return ledger.Action{}, err
		}
		moved = *r
		return ledger.Move(ref.Project, project, &moved), nil
	})
	if err != nil {
		return trackio.RunInfo{}, cause(ctx, err)
	}
	moved.Commit = seq
	return b.changed(ctx, project, &moved), nil
}

// RenameRun implements [trackio.Renamer]. It is one commit.
func (b *Backend) RenameRun(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	if !utf8.ValidString(name) {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "%q cannot be the name of a run in a bucket: it is not UTF-8", name)
	}
	var renamed ledger.Run
	_, seq, err := b.change(ctx, ref, func(_ context.Context, _ *ledger.State, r *ledger.Run) (ledger.Action, error) {
		if err := b.guard(ref, r, "renamed", opts.IfRevision, opts.Force); err != nil {
			return ledger.Action{}, err
		}
		renamed = *r
		renamed.Name = name
		return ledger.Rename(ref.Project, &renamed), nil
	})
	if err != nil {
		return trackio.RunInfo{}, cause(ctx, err)
	}
	renamed.Commit = seq
	return b.changed(ctx, ref.Project, &renamed), nil
}

// changed describes a run after a commit that has happened: whatever meets the
// look at it now does not make it undone.
func (b *Backend) changed(ctx context.Context, project string, r *ledger.Run) trackio.RunInfo {
	info, err := b.info(context.WithoutCancel(ctx), project, r)
	if err != nil {
		trackio.Note(ctx, "the config of run %q could not be read: %v", r.ID, err)
	}
	return info
}

// DeleteRun implements [trackio.Backend]. It is one commit, from which on the run
// is gone; its objects are removed after that.
func (b *Backend) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	gone, _, err := b.change(ctx, ref, func(_ context.Context, _ *ledger.State, r *ledger.Run) (ledger.Action, error) {
		return ledger.Remove(ref.Project, ref.ID), b.guard(ref, r, "deleted", opts.IfRevision, opts.Force)
	})
	if err != nil {
		return cause(ctx, err)
	}
	b.sweep(ctx, "the run is deleted", gone.Data)
	return nil
}

// DeleteProject implements [trackio.ProjectDeleter]. It is one commit.
func (b *Backend) DeleteProject(ctx context.Context, project string, opts trackio.DeleteOptions) error {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	check := func(ctx context.Context, state *ledger.State) (data []string, err error) {
		for r, err := range state.Runs(ctx, project) {
			if err == nil {
				err = b.guard(trackio.RunRef{Project: project, ID: r.ID}, r, "deleted", "", opts.Force)
			}
			if err != nil {
				return nil, err
			}
			data = append(data, r.Data)
		}
		return data, nil
	}
	state, err := b.ledger.Load(ctx)
	if err == nil {
		_, err = check(ctx, state) // before anything is written
	}
	if err == nil {
		err = b.writable(ctx)
	}
	if err != nil {
		return cause(ctx, err)
	}
	var data []string
	_, err = b.ledger.Commit(ctx, func(ctx context.Context, state *ledger.State) (_ []ledger.Action, err error) {
		data, err = check(ctx, state)
		return []ledger.Action{ledger.RemoveAll(project)}, err
	})
	if err != nil {
		return cause(ctx, err)
	}
	b.sweep(ctx, "the project is deleted", data...)
	return nil
}

// sweep removes the objects of what a commit has taken out of the state. What
// cannot be removed now is collected some day.
func (b *Backend) sweep(ctx context.Context, done string, data ...string) {
	if err := b.removeData(ctx, data...); err != nil {
		trackio.Note(ctx, "%s; objects of it are left in the bucket, and trackio gc removes them: %v", done, cause(ctx, err))
	}
}
