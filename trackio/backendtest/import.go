package backendtest

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/trackio-go/trackio/trackio"
)

func importChecks() []Check {
	const allOrNothing = "It is all or nothing: the run becomes visible, as a whole, before ImportRun returns nil, and leaves no trace when it returns an error, also when the error came out of the stream."
	return []Check{
		{"import/result", "The result has its Revision filled.", importResult},
		{"import/visible", "the run becomes visible, as a whole, before ImportRun returns nil", importVisible},
		{"import/exists", "A run of that id in that project is [ErrExists], and stays as it is; its name may be in use already.", importExists},
		{"import/same-name", "A run has an id, which is unique within its project, and a name, which is a label and may repeat.", importSameName},
		{"import/same-id-elsewhere", "RunRef names a run: ids are unique within a project.", importSameIDElsewhere},
		{"import/stream-error", allOrNothing, importStreamError},
		{"import/cancelled", "A failed or cancelled call has changed nothing, or has happened completely.", importCancelled},
		{"import/failure-keeps-others", "A call that returns an error has changed nothing", importFailureKeepsOthers},
	}
}

func importResult(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := full(e.Key(), "result")
	info, err := put(ctx, e.Backend, ref, r)
	if err != nil {
		return err
	}
	got, err := e.Backend.GetRun(ctx, ref)
	switch {
	case err != nil:
		return fmt.Errorf("GetRun(%s): %w", at(ref), err)
	case info.RunRef != ref || info.Name != r.name:
		return fmt.Errorf("ImportRun returned the run %s named %q, want %s named %q", at(info.RunRef), info.Name, at(ref), r.name)
	case info.Revision == "":
		return errors.New("ImportRun leaves Revision empty")
	case info.Revision != got.Revision:
		return fmt.Errorf("ImportRun returned the revision %q, GetRun returns %q with no change between them", info.Revision, got.Revision)
	}
	return sameTime("CreatedAt of ImportRun", r.createdAt(), info.CreatedAt)
}

func importVisible(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	project := e.Project()
	if err := noProject(ctx, other, project); err != nil { // and whatever it remembers of that
		return err
	}
	for range 3 {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		r := full(e.Key(), "visible")
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		if err := holds(ctx, other, ref, r); err != nil {
			return fmt.Errorf("through a handle that was opened before: %w", err)
		}
	}
	return nil
}

func importExists(ctx context.Context, e *Env) error {
	ref := e.ref()
	old := full(e.Key(), "the old one")
	if _, err := put(ctx, e.Backend, ref, old); err != nil {
		return err
	}
	before, err := e.Backend.GetRun(ctx, ref)
	if err != nil {
		return fmt.Errorf("GetRun(%s): %w", at(ref), err)
	}
	newer := withMedia(e.Key(), "the new one", newFile("3/a.png", []byte("other bytes")), newFile("9/new.png", []byte("new")))
	_, err = e.Backend.ImportRun(ctx, ref, newer.records())
	if err := wantKind("ImportRun of an id that is taken", err, trackio.ErrExists); err != nil {
		return err
	}
	if err := holds(ctx, e.Backend, ref, old); err != nil {
		return fmt.Errorf("after a refused import: %w", err)
	}
	after, err := e.Backend.GetRun(ctx, ref)
	if err != nil {
		return fmt.Errorf("GetRun(%s): %w", at(ref), err)
	}
	if before.Revision != after.Revision {
		return fmt.Errorf("a refused import changed the revision from %q to %q", before.Revision, after.Revision)
	}
	return nil
}

// twins returns two runs of one name in one project whose media have the same
// paths and other bytes.
func twins(e *Env, project, name string) map[trackio.RunRef]run {
	return map[trackio.RunRef]run{
		{Project: project, ID: e.Key()}: withMedia(e.Key(), name, newFile("0/a.png", []byte("of the first")), newFile("1/b.png", []byte("b"))),
		{Project: project, ID: e.Key()}: withMedia(e.Key(), name, newFile("0/a.png", []byte("of the second run")), newFile("1/b.png", nil)),
	}
}

func importSameName(ctx context.Context, e *Env) error {
	runs := twins(e, e.Project(), "one name")
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	return holdsAll(ctx, e.Backend, runs)
}

func importSameIDElsewhere(ctx context.Context, e *Env) error {
	id := e.Key()
	runs := map[trackio.RunRef]run{
		{Project: e.Project(), ID: id}: full(e.Key(), "name"),
		{Project: e.Project(), ID: id}: withMedia(e.Key(), "name", newFile("3/a.png", []byte("another"))),
	}
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	return holdsAll(ctx, e.Backend, runs)
}

// cut returns the first n records of a run, and then an error.
func cut(r run, n int, then error) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for i, record := range r.list(2) {
			if i == n {
				break
			}
			if !yield(record, nil) {
				return
			}
		}
		yield(nil, then)
	}
}

// nothingLeft reports what a failed import has left, and whether it can be done
// again.
func nothingLeft(ctx context.Context, e *Env, ref trackio.RunRef, again run) error {
	if err := absent(ctx, e.Backend, ref); err != nil {
		return fmt.Errorf("after a failed import: %w", err)
	}
	if err := noProject(ctx, e.Backend, ref.Project); err != nil {
		return fmt.Errorf("after a failed import: %w", err)
	}
	if _, err := put(ctx, e.Backend, ref, again); err != nil {
		return fmt.Errorf("a second try after a failed import: %w", err)
	}
	if err := holds(ctx, e.Backend, ref, again); err != nil {
		return fmt.Errorf("a second try after a failed import: %w", err)
	}
	return nil
}

func importStreamError(ctx context.Context, e *Env) error {
	broken := trackio.Errorf(trackio.ErrDataLoss, "the source lost its data")
	r := full(e.Key(), "cut")
	for n := range len(r.list(2)) + 1 {
		ref := e.ref()
		again := full(e.Key(), "again")
		_, err := e.Backend.ImportRun(ctx, ref, cut(r, n, broken))
		if err := anyError(ctx, fmt.Sprintf("ImportRun of a stream that fails after %d records", n), err); err != nil {
			return err
		}
		if err := nothingLeft(ctx, e, ref, again); err != nil {
			return fmt.Errorf("the stream failed after %d records: %w", n, err)
		}
	}
	return nil
}

func importCancelled(ctx context.Context, e *Env) error {
	r := full(e.Key(), "cancelled")
	total := len(r.list(3))
	for _, after := range []int{0, 1, total / 2, total - 1} {
		for _, goesOn := range []bool{false, true} {
			ref := e.ref()
			call, cancel := context.WithCancel(ctx)
			records := func(yield func(trackio.Record, error) bool) {
				for i, record := range r.list(3) {
					if i == after {
						cancel()
						if !goesOn {
							yield(nil, call.Err())
							return
						}
					}
					if !yield(record, nil) {
						return
					}
				}
			}
			_, err := e.Backend.ImportRun(call, ref, records)
			cancel()
			what := fmt.Sprintf("ImportRun, cancelled at record %d of %d (the stream goes on: %t)", after, total, goesOn)
			switch {
			case err == nil && !goesOn:
				return fmt.Errorf("%s succeeded, though its stream ended in an error", what)
			case err == nil:
				err = holds(ctx, e.Backend, ref, r)
				if err == nil {
					err = e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{})
				}
			default:
				err = nothingLeft(ctx, e, ref, small(e.Key(), "again"))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
	}
	return nil
}

func importFailureKeepsOthers(ctx context.Context, e *Env) error {
	project := e.Project()
	runs := twins(e, project, "one name")
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	ref := trackio.RunRef{Project: project, ID: e.Key()}
	failing := withMedia(e.Key(), "one name", newFile("0/a.png", []byte("of a third")), newFile("1/b.png", []byte("bb")))
	n := len(failing.list(2))
	_, err := e.Backend.ImportRun(ctx, ref, cut(failing, n, trackio.Errorf(trackio.ErrUnavailable, "the source went away")))
	if err := anyError(ctx, "ImportRun of a stream that fails at its end", err); err != nil {
		return err
	}
	if err := absent(ctx, e.Backend, ref); err != nil {
		return fmt.Errorf("after a failed import: %w", err)
	}
	return holdsAll(ctx, e.Backend, runs)
}
