package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/trackio-go/trackio/trackio"
)

// recover settles the operations that their owners left behind. It comes before
// every change. One that cannot be settled is reported and left alone, with
// everything that it is about: it does not stand in the way of other runs.
func (b *Backend) recover(ctx context.Context) error {
	ops, err := b.operations()
	if err != nil {
		return err
	}
	for _, op := range ops {
		mine, err := op.adopt()
		if err != nil {
			return err
		}
		if !mine {
			continue
		}
		if _, err := b.settle(ctx, op); err != nil {
			trackio.Note(ctx, "%s, and could not be settled: %v", op, err)
		}
	}
	b.sweep()
	return nil
}

// settle brings an operation that this process owns to an end, whatever the
// state in which it was left: finished, when its commit has happened, else
// undone. It decides by what the databases hold, and removes no row that it has
// not compared with a copy, and no file that is not found elsewhere or that a
// row refers to. An error means that nothing was decided, and the journal stays.
//
// What the operation has in a bucket comes last, when the locks are released: no
// lock is held over the network. When that fails, done says how the operation
// has ended all the same, and the journal keeps what is left.
func (b *Backend) settle(ctx context.Context, op *operation) (done bool, err error) {
	ctx = context.WithoutCancel(ctx)
	rest, err := b.settleRows(ctx, op)
	if err != nil {
		op.abandon()
		return false, err
	}
	if err := b.settleObjects(ctx, op, rest); err != nil {
		b.cleanUpLater(op, rest.done)
		return rest.done, err
	}
	return rest.done, b.end(op)
}

// rest is what is to be known about an operation whose rows are settled, and its
// files on the disk, to settle what it has in a bucket.
type rest struct {
	done           bool            // it was finished, else undone
	source, target map[string]bool // the files that rows of the projects refer to
}

// settleRows is the part of settle under the locks of the projects. What is in
// use is read there too, and stays true afterwards for objects: nobody comes to
// refer to one that nobody refers to, since new ones are in directories of their
// operations' own.
func (b *Backend) settleRows(ctx context.Context, op *operation) (rest rest, err error) {
	projects := []string{}
	for _, project := range []string{op.Source, op.Target} {
		if project != "" {
			projects = append(projects, project)
		}
	}
	release, err := b.lockProjects(ctx, projects...)
	if err != nil {
		return rest, err
	}
	defer release()
	switch op.Kind {
	case opDelete:
		rest.done, err = b.settleDelete(ctx, op)
	case opImport:
		rest.done, err = b.settleImport(ctx, op)
	case opMove:
		rest.done, err = b.settleMove(ctx, op)
	case opDeleteProject:
		rest.done, err = b.settleDeleteProject(op)
	case opCleanUp:
		rest.done = op.Bucket != nil && op.Bucket.Done
	default:
		err = trackio.Errorf(errors.ErrUnsupported, "operation %q is of a kind that this version does not know", op.Kind)
	}
	if err != nil || op.Bucket == nil {
		return rest, err
	}
	if rest.source, err = b.usedFiles(ctx, op.Source); err == nil {
		rest.target, err = b.usedFiles(ctx, op.Target)
	}
	return rest, err
}

// settleDelete: as long as the rows are there nothing has happened; afterwards
// the files that no row refers to any more go.
func (b *Backend) settleDelete(ctx context.Context, op *operation) (bool, error) {
	done := false
	err := b.read(ctx, op.Source, func(s *snapshot) error {
		now, err := b.stateOf(ctx, s, op.RunID)
		done = err == nil && (!now.found || now.revision != op.Revision)
		return err
	})
	if err != nil || !done {
		return false, err
	}
	return true, b.removeUnreferenced(ctx, op.Source, op, func(f opFile) string {
		if f.Shared {
			return ""
		}
		return f.From
	})
}

// settleImport: with the run in the target it is complete; without, its files go,
// which are copies of what the exporter still has.
func (b *Backend) settleImport(ctx context.Context, op *operation) (bool, error) {
	arrived, err := b.holds(ctx, trackio.RunRef{Project: op.Target, ID: op.NewID})
	if err != nil || arrived {
		return arrived, err
	}
	return false, b.removeCopies(ctx, op, b.stagingOf(op), true)
}

func (b *Backend) settleMove(ctx context.Context, op *operation) (bool, error) {
	from, to := trackio.RunRef{Project: op.Source, ID: op.RunID}, trackio.RunRef{Project: op.Target, ID: op.NewID}
	source, err := b.runState(ctx, from)
	if err != nil {
		return false, err
	}
	target, err := b.runState(ctx, to)
	if err != nil {
		return false, err
	}
	switch {
	case !target.found:
		if source.found {
			err = b.restoreSources(ctx, op)
		}
		if err == nil {
			err = b.removeCopies(ctx, op, b.media(), source.found)
		}
		return false, err
	case !source.found:
		return true, b.finishMove(ctx, op)
	}
	same, err := b.compareRuns(ctx, op)
	switch {
	case err != nil:
		return false, err
	case same == sameRows && source.revision == op.Revision:
		if err := b.removeRun(ctx, from); err != nil {
			return false, err
		}
		return true, b.finishMove(ctx, op)
	case same == sameRows, same == moreInSource:
		if err := b.removeRun(ctx, to); err != nil {
			return false, err
		}
		return false, b.removeCopies(ctx, op, b.media(), true)
	}
	return false, trackio.Errorf(trackio.ErrConflict, "after an interrupted move run %q is in project %q and as %q in project %q, and both have changed since; nothing was touched",
		op.RunID, op.Source, op.NewID, op.Target).
		WithHint("look at both, delete the one that is not wanted with Python's Trackio, and remove %s", op.journal)
}

// runState is what recovery needs to know about a run.
type runState struct {
	found    bool
	revision string
}

func (b *Backend) stateOf(ctx context.Context, s *snapshot, id string) (runState, error) {
	first, err := oldest(ctx, s, s.schema, id)
	if err != nil || first == nil {
		return runState{}, err
	}
	revision, err := b.revision(ctx, s, s.schema, id)
	return runState{found: true, revision: revision}, err
}

// runState reads the state of a run; a project that is not there has none.
func (b *Backend) runState(ctx context.Context, ref trackio.RunRef) (state runState, err error) {
	err = b.read(ctx, ref.Project, func(s *snapshot) (err error) {
		state, err = b.stateOf(ctx, s, ref.ID)
		return err
	})
	if errors.Is(err, trackio.ErrNotFound) {
		return runState{}, nil
	}
	return state, err
}

// removeRun deletes the rows of a run in one transaction. The caller holds the
// project's lock.
func (b *Backend) removeRun(ctx context.Context, ref trackio.RunRef) error {
	w, err := b.openWriter(ctx, b.db(ref.Project), false)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := w.removeRows(ctx, ref.ID, nil); err != nil {
		return err
	}
	return w.commit(ctx)
}

// withdraw takes a committed target back, because its source could not follow.
func (b *Backend) withdraw(ctx context.Context, op *operation) error {
	return b.removeRun(ctx, trackio.RunRef{Project: op.Target, ID: op.NewID})
}

// finishMove unlinks the old names of the media, and those new ones that the
// run has not come to use because another move of it was faster.
func (b *Backend) finishMove(ctx context.Context, op *operation) error {
	err := b.removeUnreferenced(ctx, op.Source, op, func(f opFile) string {
		if f.Shared {
			return ""
		}
		return f.From
	})
	if err != nil {
		return err
	}
	return b.removeUnreferenced(ctx, op.Target, op, func(f opFile) string { return f.To })
}

// removeUnreferenced unlinks files of an operation that no row of the project
// refers to. Every run is asked, whatever its name: this is rare, and last.
func (b *Backend) removeUnreferenced(ctx context.Context, project string, op *operation, pick func(opFile) string) error {
	if len(op.Files) == 0 {
		return nil
	}
	used, err := b.usedFiles(ctx, project)
	if err != nil {
		return err
	}
	tree, err := openMediaTree(b.dir, b.media())
	if err != nil {
		return err
	}
	defer tree.close()
	for _, f := range op.Files {
		name := pick(f)
		if name == "" || used[name] {
			continue
		}
		if err := tree.remove(name); err != nil {
			return err
		}
		if op.Alone {
			tree.prune(name)
		}
	}
	return nil
}

// usedFiles are the files that the rows of a project refer to.
func (b *Backend) usedFiles(ctx context.Context, project string) (map[string]bool, error) {
	used := map[string]bool{}
	if project == "" {
		return used, nil
	}
	err := b.read(ctx, project, func(s *snapshot) error {
		ids, err := runIDs(ctx, s, s.schema)
		if err != nil {
			return err
		}
		for _, id := range ids {
			err := eachReference(ctx, s, s.schema, id, func(text string) { used[cleanRef(text)] = true })
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, trackio.ErrNotFound) {
		return used, nil
	}
	return used, err
}

// removeCopies unlinks the new names of an operation that did not commit, unless
// a row refers to them, and the directories made for them. As long as the run is
// in the source, a file goes only while the one that it was made of is still
// there and begins with it: a kill may have cut a copy short.
func (b *Backend) removeCopies(ctx context.Context, op *operation, sourceDir string, compare bool) error {
	if len(op.Files) == 0 {
		return nil
	}
	used, err := b.usedFiles(ctx, op.Target)
	if err != nil {
		return err
	}
	tree, err := openMediaTree(b.dir, b.media())
	if err != nil {
		return err
	}
	defer tree.close()
	source, err := os.OpenRoot(sourceDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return wrapErr(err, "open", sourceDir)
	}
	defer source.Close()
	for _, f := range op.Files {
		if f.To == "" || used[f.To] {
			continue
		}
		if compare {
			ours, err := madeFrom(source, f.From, tree.root, f.To)
			if err != nil {
				return err
			}
			if !ours {
				continue // not ours, or the last copy
			}
		}
		if err := tree.remove(f.To); err != nil {
			return err
		}
		tree.prune(f.To)
	}
	return nil
}

// restoreSources gives the media of a run that did not move their old names back
// where another program has removed them meanwhile.
func (b *Backend) restoreSources(ctx context.Context, op *operation) error {
	var lost []opFile
	tree, err := openMediaTree(b.dir, b.media())
	if err != nil {
		return err
	}
	defer tree.close()
	for _, f := range op.Files {
		if !tree.exists(f.From) && tree.exists(f.To) {
			lost = append(lost, f)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	used, err := b.usedFiles(ctx, op.Source)
	if err != nil {
		return err
	}
	for _, f := range lost {
		if used[f.From] {
			if err := tree.place(ctx, tree, f.To, f.From); err != nil {
				return err
			}
		}
	}
	return tree.sync()
}
