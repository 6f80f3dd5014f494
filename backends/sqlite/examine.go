package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// findingDatabase: the database of a project cannot be opened.
const findingDatabase = "unreadable-database"

// Examine implements [trackio.Examiner]. It finds the operations that their
// processes left behind, journals that cannot be read, and databases that cannot
// be opened.
func (b *Backend) Examine(ctx context.Context, opts trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
	return func(yield func(trackio.Finding, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield(trackio.Finding{}, err)
			return
		}
		defer leave()
		paths, err := b.journals()
		if err != nil {
			yield(trackio.Finding{}, err)
			return
		}
		for _, path := range paths {
			finding, found, err := b.examineJournal(ctx, path, opts.Fix)
			if err != nil {
				yield(trackio.Finding{}, cause(ctx, err))
				return
			}
			if found && !yield(finding, nil) {
				return
			}
		}
		if opts.Fix {
			b.sweep()
		}
		b.examineDatabases(ctx, yield)
	}
}

// examineDatabases opens every database as a read would.
func (b *Backend) examineDatabases(ctx context.Context, yield func(trackio.Finding, error) bool) {
	projects, err := b.projects(ctx)
	if err != nil {
		yield(trackio.Finding{}, cause(ctx, err))
		return
	}
	for _, project := range projects {
		err := b.read(ctx, project, func(*snapshot) error { return nil })
		switch {
		case err == nil, errors.Is(err, trackio.ErrNotFound):
		case ctx.Err() != nil:
			yield(trackio.Finding{}, cause(ctx, err))
			return
		default:
			finding := trackio.Finding{Kind: findingDatabase, Project: project, Message: err.Error(), Hint: trackio.HintOf(err)}
			if !yield(finding, nil) {
				return
			}
		}
	}
}

// examineJournal looks at one journal; found is false when its owner lives.
func (b *Backend) examineJournal(ctx context.Context, path string, fix bool) (finding trackio.Finding, found bool, err error) {
	op, err := readOperation(path)
	if errors.Is(err, fs.ErrNotExist) {
		return finding, false, nil // it ended meanwhile
	}
	if err != nil {
		return trackio.Finding{Kind: trackio.FindingOperation, Message: err.Error(), Hint: trackio.HintOf(err)}, true, nil
	}
	mine, err := op.adopt()
	if err != nil && !errors.Is(err, trackio.ErrPermission) {
		return finding, false, err
	}
	if err == nil && !mine {
		return finding, false, nil
	}
	finding = trackio.Finding{
		Kind: trackio.FindingOperation, Project: op.project(), RunID: op.runID(), Message: op.String(),
		Hint: "fix it here, or let the next change do so: it is finished or undone, whichever the data allows",
	}
	switch {
	case err != nil:
		finding.Hint = "make the directory writable for this user"
	case !fix:
		op.abandon()
	default:
		done, err := b.settle(ctx, op)
		if err != nil {
			finding.Message += fmt.Sprintf("; it could not be settled: %v", err)
			finding.Hint = trackio.HintOf(err)
			break
		}
		finding.Fixed, finding.Hint = true, ""
		finding.Message += map[bool]string{true: "; it was finished", false: "; it was undone"}[done]
	}
	return finding, true, nil
}

// project and runID say what an operation began with; an import has no source.
func (op *operation) project() string { return cmp.Or(op.Source, op.Target) }
func (op *operation) runID() string   { return cmp.Or(op.RunID, op.NewID) }

// String says what an operation was about.
func (op *operation) String() string {
	at := op.Started.Local().Format(time.DateTime)
	switch op.Kind {
	case opMove:
		return fmt.Sprintf("the move of run %q (%s) from project %q to %q, begun at %s, was interrupted", op.RunName, op.RunID, op.Source, op.Target, at)
	case opImport:
		return fmt.Sprintf("the import of run %q (%s) into project %q, begun at %s, was interrupted", op.RunName, op.NewID, op.Target, at)
	case opCleanUp:
		return fmt.Sprintf("the removal of objects of run %q (%s) in project %q, after a change begun at %s, was interrupted", op.RunName, op.runID(), op.project(), at)
	case opDeleteProject:
		return fmt.Sprintf("the deletion of project %q, begun at %s, was interrupted", op.Source, at)
	}
	return fmt.Sprintf("the deletion of run %q (%s) of project %q, begun at %s, was interrupted", op.RunName, op.RunID, op.Source, at)
}
