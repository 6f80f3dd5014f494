package trackio

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CopyOptions says how a run is copied.
type CopyOptions struct {
	// ID is the id of the copy, "" for that of the run. A copy with another id
	// is another run: it gets no log ids, alert ids and space ids, which are keys
	// of what a client has sent, and its traces get ids of their own.
	ID string
	// Force copies even rows that are not delivered yet, so that they are delivered
	// from both places. A copy with another id needs no force: nothing of it is to
	// be delivered.
	Force bool
}

// Copy copies the run into a project of a storage, which may be the run's own,
// and returns the copy. Every row and every file of it was compared with what was
// read, before Copy returns nil. [ErrExists] when the id is taken there.
func (r *Run) Copy(ctx context.Context, to *Api, project string, opts CopyOptions) (*Run, error) {
	from, ref := r.where()
	t := transfer{from: from, to: to.backend, force: opts.Force}
	if err := t.begin(ctx, ref, project, opts.ID); err != nil {
		return nil, err
	}
	if err := t.copy(ctx); err != nil {
		return nil, err
	}
	return newRun(to.backend, t.copied, false), nil
}

// MoveTo moves the run into a project of another storage: it is copied, compared
// and then deleted here. Nothing is deleted that is not whole over there, and a
// move that was interrupted is completed by the next one. Afterwards the Run is
// the one in the other storage.
func (r *Run) MoveTo(ctx context.Context, to *Api, project string, opts MoveOptions) error {
	if from, _ := r.where(); sameBackend(from, to.backend) {
		return r.MoveWith(ctx, project, opts)
	}
	return r.moveByCopy(ctx, to.backend, project, opts)
}

func (r *Run) moveByCopy(ctx context.Context, to Backend, project string, opts MoveOptions) error {
	from, ref := r.where()
	t := transfer{from: from, to: to, force: opts.Force, moving: true, ifRevision: opts.IfRevision}
	if err := t.begin(ctx, ref, project, ""); err != nil {
		return err
	}
	if err := t.move(ctx); err != nil {
		return err
	}
	r.settle(to, t.copied)
	return nil
}

// liveFor is how young a row makes its run count as still written to.
const liveFor = time.Minute

// transfer is the one way in which a run gets from one storage to another. It
// follows two rules. A copy is good when all of the run has passed and what is
// read back from the target has the digest of what has passed; nobody's word
// counts for it. And nothing is removed, here or there, unless the same content
// has just been seen in the other place.
type transfer struct {
	from, to   Backend
	force      bool
	moving     bool
	ifRevision string

	info   RunInfo // of the run
	target RunRef
	rekey  bool // the copy is another run

	digest   *Digest // of what has passed
	whole    bool    // all of the run has
	revision string  // of the state that was read
	copied   RunInfo // the copy
	mine     string  // the revision at which this very call made it; "" when it did not, or cannot tell
}

// begin looks at the run and refuses what cannot be meant.
func (t *transfer) begin(ctx context.Context, ref RunRef, project, id string) error {
	var err error
	if t.info, err = t.from.GetRun(ctx, ref); err != nil {
		return err
	}
	t.target = RunRef{Project: CanonicalProject(project), ID: t.info.ID}
	if t.info.DerivedID != "" {
		t.target.ID = t.info.DerivedID
	}
	if id != "" && id != t.target.ID {
		t.target.ID, t.rekey = id, true
	}
	if sameBackend(t.from, t.to) && t.target == ref {
		return Errorf(ErrExists, "run %q is in project %q already", ref.ID, t.target.Project).
			WithHint("name another project, or give the copy a new id")
	}
	if err := checkTarget(ctx, t.to, t.target.Project); err != nil {
		return err
	}
	if t.moving && !t.force && !t.info.UpdatedAt.IsZero() && time.Since(t.info.UpdatedAt) < liveFor {
		return Errorf(ErrConflict, "run %q is still being written to; it was not moved", t.info.ID).
			WithHint("wait until the training has ended, or force it: what is logged from then on comes in under the old place")
	}
	return t.accept(t.info.Revision)
}

// copy imports the run and verifies the copy. When the target has the run
// already, whole, copy returns errSame and t.copied says what is there.
func (t *transfer) copy(ctx context.Context) error {
	t.digest = NewDigest()
	imported, err := t.to.ImportRun(ctx, t.target, t.hashed(t.from.ExportRun(ctx, t.info.RunRef, ExportOptions{})))
	if err == nil {
		t.copied, t.mine = imported, imported.Revision
		return t.verify(ctx)
	}
	switch {
	case KindOf(err) == ErrExists:
		return t.compareExisting(ctx)
	case maybe(err):
		return t.look(ctx, err)
	}
	return err
}

// maybe reports whether a call that returned the error may have happened all the
// same: an error without a kind is one that nobody has thought of, or the caller's
// own impatience.
func maybe(err error) bool {
	kind := KindOf(err)
	return kind == nil || kind == ErrBackendDied || kind == ErrUnavailable
}

// verify reads the copy back, without the bytes of its media but with their
// hashes, and takes it away again when it is not what was read.
func (t *transfer) verify(ctx context.Context) error {
	if !t.whole {
		return t.undo(ctx, Errorf(ErrDataLoss, "the copy of run %q in project %q was called done before all of the run had passed", t.info.ID, t.target.Project).
			WithHint("the run itself is untouched; check the storage that was copied to"))
	}
	sum, info, err := digestOf(ctx, t.to, t.target)
	switch {
	case err == nil && sum == t.digest.Sum():
		t.copied = info
		t.copied.RunRef = t.target
		return nil
	case err == nil:
		err = Errorf(ErrDataLoss, "the copy of run %q in project %q is not what was read", t.info.ID, t.target.Project).
			WithHint("the run itself is untouched; check the storage that was copied to")
	case KindOf(err) == ErrNotFound:
		err = Errorf(ErrDataLoss, "the copy of run %q in project %q was called done, and is not there: %w", t.info.ID, t.target.Project, err).
			WithHint("the run itself is untouched; check the storage that was copied to")
	default:
		err = Errorf(KindOf(err), "the copy of run %q in project %q could not be compared with what was read: %w", t.info.ID, t.target.Project, err)
	}
	return t.undo(ctx, err)
}

// patience is how long a call that failed, or that the caller has given up, goes
// on to find out what has happened and to put it right.
const patience = time.Minute

func aftermath(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}

// undo takes the copy away again after a failure and returns the cause, together
// with the reason when the copy has to stay.
func (t *transfer) undo(ctx context.Context, cause error) error {
	if err := t.takeBack(ctx); err != nil {
		return errors.Join(cause, fmt.Errorf("the copy in project %q was not taken away again: %w", t.target.Project, err))
	}
	return cause
}

// takeBack removes the copy, if this very call made it, nobody has changed it
// since, and the run is still where it was: else it may be the last.
func (t *transfer) takeBack(ctx context.Context) error {
	ctx, cancel := aftermath(ctx)
	defer cancel()
	if t.mine == "" {
		return Errorf(ErrConflict, "it is not known to be of this call's making")
	}
	if _, err := t.from.GetRun(ctx, t.info.RunRef); err != nil {
		return Errorf(ErrConflict, "the run itself was not found any more: %w", err)
	}
	err := t.to.DeleteRun(ctx, t.target, DeleteOptions{IfRevision: t.mine, Force: true})
	if KindOf(err) == ErrNotFound {
		return nil
	}
	return err
}

// errSame: the target has this very run, whole.
var errSame = Errorf(ErrExists, "the target has the very same run already").
	WithHint("nothing is left to do, or move the run to complete an interrupted move")

// compareExisting says what it is that stands in the way.
func (t *transfer) compareExisting(ctx context.Context) error {
	source, err := t.digestOfSource(ctx)
	var there string
	if err == nil {
		there, t.copied, err = digestOf(ctx, t.to, t.target)
	}
	switch {
	case err != nil:
		return Errorf(KindOf(err), "project %q has a run %q already, which was not compared to its end: %w", t.target.Project, t.target.ID, err)
	case there != source:
		return Errorf(ErrExists, "project %q has another run %q, with other content; both were kept", t.target.Project, t.target.ID).
			WithHint("look at both, delete or rename one, or copy under a new id")
	}
	t.copied.RunRef = t.target
	return errSame
}

// look finds out whether an import of unknown outcome has happened. A copy that
// it finds may be of another process's making: it is never taken back.
func (t *transfer) look(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return t.glance(ctx, cause)
	}
	there, info, err := digestOf(ctx, t.to, t.target)
	if KindOf(err) == ErrNotFound {
		return cause
	}
	want := t.digest.Sum()
	if err == nil && !t.whole { // not all of it has passed, so its digest is that of a part
		want, err = t.digestOfSource(ctx)
	}
	switch {
	case err != nil:
		return Errorf(KindOf(cause), "it is not known whether run %q came to project %q: %w", t.info.ID, t.target.Project, cause).
			WithHint("the run itself is untouched; try again when the storage answers")
	case there != want:
		return Errorf(ErrConflict, "project %q has a run %q whose content is another: %w", t.target.Project, t.target.ID, cause).
			WithHint("the run itself is untouched; look at both")
	}
	t.copied = info
	t.copied.RunRef = t.target
	return nil
}

// glance is look for a caller who has given up: it compares nothing.
func (t *transfer) glance(ctx context.Context, cause error) error {
	ctx, cancel := aftermath(ctx)
	defer cancel()
	_, err := t.to.GetRun(ctx, t.target)
	switch {
	case KindOf(err) == ErrNotFound:
		return cause
	case err != nil:
		return Errorf(KindOf(cause), "it is not known whether run %q came to project %q: %w", t.info.ID, t.target.Project, cause).
			WithHint("the run itself is untouched")
	}
	return Errorf(KindOf(cause), "project %q has a run %q, which may have come before the end: %w", t.target.Project, t.target.ID, cause).
		WithHint("the run itself is untouched; the same call again compares both")
}

// move copies the run, or finds the copy of an interrupted move, and deletes it
// in its old place.
func (t *transfer) move(ctx context.Context) error {
	if err := t.copy(ctx); err != nil && !errors.Is(err, errSame) {
		return err
	}
	if t.mine == "" {
		if err := t.checkDistinct(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil { // the last moment at which nothing need have happened
		if t.mine == "" {
			return err
		}
		return t.undo(ctx, err)
	}
	err := t.from.DeleteRun(ctx, t.info.RunRef, DeleteOptions{IfRevision: t.revision, Force: t.force})
	if err == nil {
		return nil
	}
	return t.notDeleted(ctx, err)
}

// notDeleted says what became of a move whose last step failed. The copy goes
// only when the storage has refused, so that the run is known to stay.
func (t *transfer) notDeleted(ctx context.Context, cause error) error {
	kind := KindOf(cause)
	switch {
	case maybe(cause):
		look, cancel := aftermath(ctx)
		defer cancel()
		if _, err := t.from.GetRun(look, t.info.RunRef); KindOf(err) == ErrNotFound {
			return nil
		}
		return Errorf(kind, "run %q is whole in project %q of the target; whether it is still in its old place is not known: %w", t.info.ID, t.target.Project, cause).
			WithHint("move it again: that completes the move")
	case kind == ErrNotFound:
		return Errorf(ErrConflict, "run %q was deleted or moved by somebody else meanwhile; its copy in project %q of the target was kept: %w", t.info.ID, t.target.Project, cause).
			WithHint("delete the copy if it is not wanted")
	case t.mine != "" && (kind == ErrConflict || kind == ErrPermission || kind == errors.ErrUnsupported):
		refused := Errorf(kind, "run %q could not be taken out of its old place; it is where it was: %w", t.info.ID, cause)
		if kind == ErrConflict {
			refused = refused.WithHint("wait until nothing writes to it any more, or force it")
		}
		return t.undo(ctx, refused)
	}
	return Errorf(kind, "run %q is whole in project %q of the target, and still in its old place: %w", t.info.ID, t.target.Project, cause).
		WithHint("move it again when the cause is mended: that completes the move")
}
