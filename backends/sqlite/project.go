package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// DeleteProject implements [trackio.ProjectDeleter]: the database with all runs,
// the media, the project's own files and its artifacts. One renaming of the
// database takes the project away; everything is then deleted out of sight.
func (b *Backend) DeleteProject(ctx context.Context, project string, opts trackio.DeleteOptions) error {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, err := b.find(project); err != nil {
		return err
	}
	if err := b.beforeChange(ctx); err != nil {
		return err
	}
	if err := b.checkProject(ctx, project, opts.Force); err != nil {
		return cause(ctx, err)
	}
	op := b.newOperation(opDeleteProject)
	op.Source = project
	if b.bucket != nil {
		op.Bucket = b.newOpBucket(op)
		if _, err := b.bucketOf(ctx, op); err != nil { // before anything is changed
			return err
		}
	}
	if err := b.begin(op); err != nil {
		return err
	}
	if err := b.takeAway(ctx, op); err != nil {
		if b.isStaged(op) {
			op.abandon() // it is gone; the next change removes the rest
			return err
		}
		return errors.Join(err, b.end(op))
	}
	if err := b.settleObjects(context.WithoutCancel(ctx), op, rest{done: true}); err != nil {
		op.abandon()
		trackio.Note(ctx, "project %s is deleted; media of it that are left in the bucket will be removed by the next change: %v", project, err)
		return nil
	}
	if err := b.end(op); err != nil {
		trackio.Note(ctx, "project %s is deleted; %v", project, err)
	}
	return nil
}

// checkProject refuses the deletion of a project that somebody is at work in.
func (b *Backend) checkProject(ctx context.Context, project string, force bool) error {
	ops, err := b.operations()
	if err != nil {
		return err
	}
	for _, op := range ops {
		if op.Source == project || op.Target == project {
			return trackio.Errorf(trackio.ErrConflict, "a %s is under way in project %q, or was interrupted and could not be settled; the project was not deleted", op.Kind, project).
				WithHint("try again, or look at %s", op.journal)
		}
	}
	waiting := 0
	err = b.eachFragment(ctx, func(f *fragment) {
		if trackio.CanonicalProject(f.Project) == project {
			waiting++
		}
	})
	if err != nil {
		return err
	}
	switch {
	case waiting > 0 && !force:
		return trackio.Errorf(trackio.ErrConflict, "%d rows for project %q in %s are not imported yet; it was not deleted", waiting, project, b.inbox()).
			WithHint("wait until the training has ended and open Trackio's dashboard once, which imports them, or force it: they are then imported first")
	case waiting > 0:
		return b.drain(ctx, project)
	case force:
		return nil
	}
	for run, err := range b.ListRuns(ctx, project, trackio.ListOptions{Latest: true}) {
		if err != nil {
			return err
		}
		if !run.UpdatedAt.IsZero() && b.now().Sub(run.UpdatedAt) < liveWindow {
			return trackio.Errorf(trackio.ErrConflict, "run %q of project %q is still being written to; the project was not deleted", run.ID, project).
				WithHint("wait until the training has ended, or force it")
		}
	}
	return nil
}

// takeAway brings everything of the project out of sight, under its lock.
func (b *Backend) takeAway(ctx context.Context, op *operation) error {
	if err := makeDirs(b.dir, b.stagingOf(op)); err != nil {
		return wrapErr(err, "create the directory", b.stagingOf(op))
	}
	release, err := b.lockProjects(ctx, op.Source)
	if err != nil {
		return err
	}
	defer release()
	if err := b.checkpoint(ctx, op.Source); err != nil {
		return err
	}
	if err := os.Rename(b.db(op.Source), b.stagedProject(op)); err != nil {
		return wrapErr(err, "delete", b.db(op.Source))
	}
	if err := syncDir(b.dir); err != nil {
		return wrapErr(err, "write", b.dir)
	}
	return b.takeFiles(op)
}

func (b *Backend) stagedProject(op *operation) string {
	return filepath.Join(b.stagingOf(op), "project.db")
}

func (b *Backend) isStaged(op *operation) bool {
	_, err := os.Lstat(b.stagedProject(op))
	return err == nil
}

// checkpoint brings the database into its one file, so that a renaming of that
// takes everything along.
func (b *Backend) checkpoint(ctx context.Context, project string) error {
	busy, err := b.writeBack(ctx, b.db(project))
	if err != nil {
		return err
	}
	if busy {
		return trackio.Errorf(trackio.ErrConflict, "project %q is being read by another process; it was not deleted", project).
			WithHint("close what shows it, such as a dashboard, and try again")
	}
	return nil
}

// writeBack brings the WAL of the database at path into it. busy means that it
// was not possible because the database is being read.
func (b *Backend) writeBack(ctx context.Context, path string) (busy bool, err error) {
	w, err := b.openWriter(ctx, path, false)
	if err != nil {
		return false, err
	}
	defer w.close()
	if err := w.commit(ctx); err != nil { // nothing was written: this ends the transaction
		return false, err
	}
	var frames, moved int64
	err = w.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	return busy, wrapErr(cause(ctx, err), "write", path)
}

// takeFiles moves the directories of a project whose database is out of sight
// already, whatever the spelling that old versions gave them, and removes what is
// left of the database.
func (b *Backend) takeFiles(op *operation) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(b.db(op.Source) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrapErr(err, "delete", b.db(op.Source)+suffix)
		}
	}
	for _, parent := range []string{b.media(), filepath.Join(b.dir, "artifacts")} {
		entries, err := os.ReadDir(parent)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return wrapErr(err, "read the directory", parent)
		}
		for _, entry := range entries {
			if trackio.CanonicalProject(entry.Name()) != op.Source || !entry.IsDir() {
				continue
			}
			from := filepath.Join(parent, entry.Name())
			err := os.Rename(from, filepath.Join(b.stagingOf(op), filepath.Base(parent)+"-"+entry.Name()))
			if err != nil { // such as another file system
				err = os.RemoveAll(from)
			}
			if err != nil {
				return wrapErr(err, "delete", from)
			}
		}
	}
	return b.removeHashes(op.Source)
}

// removeHashes removes the small files in which Python keeps the state of a
// project's upload, named after the project as it was spelled.
func (b *Backend) removeHashes(project string) error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return wrapErr(err, "read the directory", b.dir)
	}
	for _, entry := range entries {
		stem, ok := strings.CutSuffix(entry.Name(), ".hash")
		if !ok || trackio.CanonicalProject(stem) != project || !entry.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(b.dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrapErr(err, "delete", filepath.Join(b.dir, entry.Name()))
		}
	}
	return nil
}

// settleDeleteProject: the project is deleted when its database is out of sight.
// Files of a project that has been created anew since are left alone.
func (b *Backend) settleDeleteProject(op *operation) (bool, error) {
	if !b.isStaged(op) {
		return false, nil
	}
	if b.hasDatabase(op.Source) {
		return true, nil
	}
	return true, b.takeFiles(op)
}
