package sqlite

import (
	"context"
	"errors"

	"github.com/trackio-go/trackio/trackio"
)

// DeleteRun implements [trackio.Backend]. It is one transaction, from which on
// the run is gone; its media are unlinked after that. The journal names them, so
// that recovery can finish what a kill has interrupted.
func (b *Backend) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := b.requireRun(ctx, ref); err != nil {
		return err
	}
	if err := b.beforeChange(ctx); err != nil {
		return err
	}
	g := guard{verb: "deleted", ifRevision: opts.IfRevision, force: opts.Force}
	return attempt(ref.ID, func() error {
		p, err := b.planChange(ctx, ref, g)
		if err != nil {
			return err
		}
		return b.deleteRun(ctx, p)
	})
}

func (b *Backend) deleteRun(ctx context.Context, p *plan) error {
	op := b.newOperation(opDelete)
	op.Source, op.RunID, op.RunName, op.Revision, op.Rows = p.ref.Project, p.ref.ID, p.name, p.revision, p.rows
	op.Alone = p.media.alone
	if err := b.planDelete(ctx, p.media, op); err != nil {
		return err
	}
	if err := b.begin(op); err != nil {
		return err
	}
	removed, err := b.deleteRows(ctx, p)
	if err != nil {
		return b.failDelete(ctx, op, err)
	}
	noteArtifacts(ctx, p.ref.Project, removed)
	b.cleanUp(context.WithoutCancel(ctx), op)
	return nil
}

// failDelete ends a deletion that met an error: it looks whether its commit has
// happened all the same, and finishes or drops it.
func (b *Backend) failDelete(ctx context.Context, op *operation, err error) error {
	if errors.Is(err, errMovedOn) || errors.Is(err, trackio.ErrConflict) {
		return errors.Join(err, b.end(op)) // nothing but the journal was written
	}
	return b.ended(ctx, op, err)
}

// deleteRows removes the rows, under the project's lock. When it returns nil
// they are gone for good.
func (b *Backend) deleteRows(ctx context.Context, p *plan) (rowCounts, error) {
	release, err := b.lockProjects(ctx, p.ref.Project)
	if err != nil {
		return nil, err
	}
	defer release()
	w, err := b.openWriter(ctx, b.db(p.ref.Project), false)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := b.checkRevision(ctx, w, p); err != nil {
		return nil, err
	}
	var removed rowCounts
	h := b.inHurry(ctx, w, p, "deleting")
	err = h.within(ctx, func(ctx context.Context) (err error) {
		removed, err = w.removeRows(ctx, p.ref.ID, h)
		return err
	})
	if err != nil {
		return nil, err
	}
	return removed, w.commit(ctx)
}

// noteArtifacts tells the caller what stays behind.
func noteArtifacts(ctx context.Context, project string, removed rowCounts) {
	if removed["artifact_versions"] > 0 || removed["run_artifact_links"] > 0 {
		trackio.Note(ctx, "artifacts belong to the project and stay in %s; they no longer name the run", project)
	}
}

// cleanUp removes the files of a committed operation that nothing refers to any
// more, and then its journal. What cannot be removed now is left to recovery.
func (b *Backend) cleanUp(ctx context.Context, op *operation) {
	if err := b.removeOld(op); err != nil {
		trackio.Note(ctx, "the run is %sd; files of it that are left will be removed by the next change: %v", op.Kind, err)
		op.abandon()
		return
	}
	if err := b.removeOldObjects(ctx, op); err != nil {
		trackio.Note(ctx, "the run is %sd; media of it that are left in the bucket will be removed by the next change: %v", op.Kind, err)
		b.cleanUpLater(op, true)
		return
	}
	if err := b.end(op); err != nil {
		trackio.Note(ctx, "the run is %sd; %v", op.Kind, err)
	}
}

// removeOldObjects is removeOld in the bucket.
func (b *Backend) removeOldObjects(ctx context.Context, op *operation) error {
	if op.Bucket == nil {
		return nil
	}
	store, err := b.bucketOf(ctx, op)
	if err != nil {
		return err
	}
	return deleteKeys(ctx, store, oldKeys(op, nil))
}

// removeOld unlinks the files that the operation took from a run.
func (b *Backend) removeOld(op *operation) error {
	if len(op.Files) == 0 || op.Kind == opImport {
		return nil
	}
	tree, err := openMediaTree(b.dir, b.media())
	if err != nil {
		return err
	}
	defer tree.close()
	var failed error
	for _, f := range op.Files {
		if f.Shared {
			continue
		}
		if err := tree.remove(f.From); err != nil {
			failed = err
		} else if op.Alone {
			tree.prune(f.From)
		}
	}
	return failed
}

// requireRun returns ErrNotFound for a run that is neither in the project nor in
// the inbox, before anything is written, be it a lock file.
func (b *Backend) requireRun(ctx context.Context, ref trackio.RunRef) error {
	err := b.readVisible(ctx, ref.Project, func(s *snapshot, gone goneRuns) error {
		first, err := oldest(ctx, s, s.schema, ref.ID)
		if err == nil && (first == nil || gone[ref.ID]) {
			return errNoRun(ref)
		}
		return err
	})
	if !errors.Is(err, trackio.ErrNotFound) {
		return err
	}
	if own, _, inboxErr := b.waiting(ctx, ref); own == 0 || inboxErr != nil {
		return errors.Join(err, inboxErr)
	}
	return nil
}
