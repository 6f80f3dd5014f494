package sqlite

import (
	"context"
	"errors"
	"iter"

	"github.com/trackio-go/trackio/trackio"
)

// ImportRun implements [trackio.Backend]. While the stream runs, everything goes
// into a private staging directory: rows into a database of their own, media into
// files. Only when the stream has ended well is the target touched: media get
// their names, and one transaction brings the rows in. Media for a bucket go there
// at once, into a directory that is the import's own.
//
// A run without rows and without a config cannot be stored, since nothing would
// tell of it ([errors.ErrUnsupported]); nor a media file that no row refers to,
// since it would be nobody's ([trackio.ErrInvalid]).
func (b *Backend) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	if ref.Project != trackio.CanonicalProject(ref.Project) || isRegistry(ref.Project) {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "%q is no name of a project", ref.Project)
	}
	if ref.ID == "" {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "a run needs an id")
	}
	if taken, err := b.holds(ctx, ref); err != nil {
		return trackio.RunInfo{}, cause(ctx, err)
	} else if taken {
		return trackio.RunInfo{}, errTaken(ref)
	}
	if err := b.beforeChange(ctx); err != nil {
		return trackio.RunInfo{}, err
	}
	name, err := b.importRun(ctx, ref, records)
	if err != nil {
		return trackio.RunInfo{}, cause(ctx, err)
	}
	return b.changed(ctx, ref, name)
}

func errTaken(ref trackio.RunRef) error {
	return trackio.Errorf(trackio.ErrExists, "project %q has a run %q already; nothing was imported", ref.Project, ref.ID).
		WithHint("delete it first, or import into another project")
}

// importRun returns the name of the run that it has stored.
func (b *Backend) importRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (string, error) {
	op := b.newOperation(opImport)
	op.Target, op.NewID = ref.Project, ref.ID
	if err := b.own(op); err != nil {
		return "", err
	}
	staged, err := b.stage(ctx, op, records)
	if staged == nil {
		return "", errors.Join(err, b.end(op))
	}
	defer staged.media.close()
	if err == nil {
		err = b.journal(op)
	}
	if err != nil {
		return "", b.giveUp(ctx, op, staged.media, err)
	}
	return staged.name, b.commitImport(ctx, op, staged)
}

// commitImport brings what was staged into the target.
func (b *Backend) commitImport(ctx context.Context, op *operation, staged *staging) error {
	reached := false
	err := staged.media.place(ctx)
	if err == nil {
		reached, err = b.commitStaged(ctx, op, staged)
	}
	switch {
	case err == nil:
		if err := b.end(op); err != nil {
			trackio.Note(ctx, "the run is imported; %v", err)
		}
		return nil
	case reached:
		return b.ended(ctx, op, err)
	case errors.Is(err, errMovedOn):
		err = trackio.Errorf(trackio.ErrConflict, "media of run %q were moved away by another program meanwhile; nothing was imported", op.NewID).
			WithHint("try again")
	}
	return b.giveUp(ctx, op, staged.media, err)
}

// commitStaged runs the transaction; reached says that it was begun.
func (b *Backend) commitStaged(ctx context.Context, op *operation, staged *staging) (reached bool, err error) {
	release, err := b.lockProjects(ctx, op.Target)
	if err != nil {
		return false, err
	}
	defer release()
	if err := staged.media.check(); err != nil {
		return false, err
	}
	ref := trackio.RunRef{Project: op.Target, ID: op.NewID}
	refused := false
	err = b.commitTarget(ctx, op, func(ctx context.Context, w *writer) error {
		refused = true
		taken, err := hasRun(ctx, w, w.schema, ref.ID)
		if err != nil {
			return wrapErr(cause(ctx, err), "read", w.path)
		}
		if taken {
			return errTaken(ref)
		}
		if err := checkNamed(w.schema, ref, staged.name); err != nil {
			return err
		}
		refused = false
		if err := w.attach(ctx, staged.path); err != nil {
			return err
		}
		want, err := tableCounts(ctx, w, "src", staged.schema, ref.ID)
		if err != nil {
			return wrapErr(cause(ctx, err), "read", staged.path)
		}
		t := &transplant{w: w, from: staged.schema, fromID: ref.ID, toID: ref.ID, want: want, media: staged.media.moved()}
		if b.someoneWaits(ctx, w) {
			t.hurry = b.newHurry(w, "src", "importing", changeShare)
		}
		return t.hurry.within(ctx, func(ctx context.Context) error {
			_, err := t.run(ctx)
			return err
		})
	})
	return !refused, err
}

// checkNamed refuses a run whose id a database without ids cannot keep.
func checkNamed(s *schema, ref trackio.RunRef, name string) error {
	if s.key != "run_name" || ref.ID == name {
		return nil
	}
	return trackio.Errorf(errors.ErrUnsupported, "project %q was written by an old Trackio, without run ids, and cannot keep the id of run %q", ref.Project, ref.ID).
		WithHint("import it into another project")
}
