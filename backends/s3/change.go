package s3

import (
	"context"
	"time"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// guard reports why a run must not be changed.
func (b *Backend) guard(ref trackio.RunRef, r *ledger.Run, verb, ifRevision string, force bool) error {
	if ifRevision != "" && ifRevision != r.Revision() {
		return trackio.Errorf(trackio.ErrConflict, "run %q has changed since it was looked at; it was not %s", ref.ID, verb).
			WithHint("look at it again, then repeat")
	}
	updated := r.Updated()
	if age := b.now().Sub(updated); !force && !updated.IsZero() && age < liveWindow {
		return trackio.Errorf(trackio.ErrConflict, "run %q is still being written to: its last row is %s old; it was not %s",
			ref.ID, max(age, 0).Round(time.Second), verb).
			WithHint("wait until the training has ended, or force it")
	}
	return nil
}

// MoveRun implements [trackio.Mover]. It is one commit, and no data is touched.
func (b *Backend) MoveRun(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
	return b.change(ctx, trackio.Change{Run: ref, Kind: trackio.ChangeMove, To: project, IfRevision: opts.IfRevision, Force: opts.Force})
}

// RenameRun implements [trackio.Renamer]. It is one commit.
func (b *Backend) RenameRun(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
	return b.change(ctx, trackio.Change{Run: ref, Kind: trackio.ChangeRename, Name: name, IfRevision: opts.IfRevision, Force: opts.Force})
}

// DeleteRun implements [trackio.Backend]. It is one commit, from which on the run
// is gone; its objects are removed after that.
func (b *Backend) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	_, err := b.change(ctx, trackio.Change{Run: ref, Kind: trackio.ChangeDelete, IfRevision: opts.IfRevision, Force: opts.Force})
	return err
}

// change makes one change and returns all that is known of the run then.
func (b *Backend) change(ctx context.Context, c trackio.Change) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	outcomes, err := b.step(ctx, []trackio.Change{c})
	if err != nil {
		return trackio.RunInfo{}, cause(ctx, err)
	}
	o := outcomes[0]
	if o.err != nil || o.run == nil {
		return trackio.RunInfo{}, o.err
	}
	return b.committed(ctx, o.project, o.run), nil
}

// committed returns all that is known of a run after a commit that made or
// changed it. It has happened: whatever the look at the run meets now does not
// make it undone.
func (b *Backend) committed(ctx context.Context, project string, r *ledger.Run) trackio.RunInfo {
	info, err := b.info(context.WithoutCancel(ctx), project, r)
	if err != nil {
		trackio.Note(ctx, "the config of run %q could not be read: %v", r.ID, err)
	}
	return info
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
