package backendtest

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/trackio-go/trackio/trackio"
)

func deleteChecks() []Check {
	return []Check{
		{"delete/everything", "DeleteRun removes the run: its rows, its config and the media that only it refers to.", deleteEverything},
		{"delete/spares-others", "It never touches another run's.", deleteSparesOthers},
		{"delete/nothing-returns", "DeleteRun removes the run: its rows, its config and the media that only it refers to.", deleteNothingReturns},
		{"delete/last-run", "A project may have no runs; a backend may forget such a project.", deleteLastRun},
	}
}

func deleteAll(ctx context.Context, b trackio.Backend, refs iter.Seq[trackio.RunRef]) error {
	for ref := range refs {
		if err := b.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
			return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
		}
	}
	return nil
}

func deleteEverything(ctx context.Context, e *Env) error {
	ref := e.ref()
	if _, err := put(ctx, e.Backend, ref, full(e.Key(), "deleted")); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	if _, err := other.GetRun(ctx, ref); err != nil {
		return fmt.Errorf("GetRun(%s) through another handle: %w", at(ref), err)
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	for what, b := range map[string]trackio.Backend{"the same handle": e.Backend, "another handle": other} {
		if err := absent(ctx, b, ref); err != nil {
			return fmt.Errorf("after DeleteRun, through %s: %w", what, err)
		}
		err := b.DeleteRun(ctx, ref, trackio.DeleteOptions{})
		if err := wantKind("DeleteRun of a deleted run, through "+what, err, trackio.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

func deleteSparesOthers(ctx context.Context, e *Env) error {
	project := e.Project()
	runs := twins(e, project, "one name")
	id := e.Key()
	runs[trackio.RunRef{Project: project, ID: id}] = full(e.Key(), "one name")
	runs[trackio.RunRef{Project: e.Project(), ID: id}] = full(e.Key(), "one name")
	runs[trackio.RunRef{Project: project, ID: e.Key()}] = withMedia(e.Key(), "one", newFile("0/a.png", []byte("of a shorter name")))
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	for ref := range maps.Clone(runs) {
		if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
			return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
		}
		delete(runs, ref)
		if err := absent(ctx, e.Backend, ref); err != nil {
			return fmt.Errorf("after DeleteRun: %w", err)
		}
		if err := holdsAll(ctx, e.Backend, runs); err != nil {
			return fmt.Errorf("after the deletion of run %s: %w", at(ref), err)
		}
	}
	return nil
}

// deleteNothingReturns brings a run of the same id, with less in it and other
// bytes under the same paths.
func deleteNothingReturns(ctx context.Context, e *Env) error {
	ref := e.ref()
	key := e.Key()
	old := full(key, "old name")
	if _, err := put(ctx, e.Backend, ref, old); err != nil {
		return err
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	next := withMedia(key, "old name", missingFile("2/in trace.png"), newFile("3/a.png", []byte("other bytes")))
	if _, err := put(ctx, e.Backend, ref, next); err != nil {
		return fmt.Errorf("after a deletion: %w", err)
	}
	if err := holds(ctx, e.Backend, ref, next); err != nil {
		return fmt.Errorf("something of the deleted run is back: %w", err)
	}
	return nil
}

func deleteLastRun(ctx context.Context, e *Env) error {
	ref := e.ref()
	if _, err := put(ctx, e.Backend, ref, small(e.Key(), "last")); err != nil {
		return err
	}
	if err := deleteAll(ctx, e.Backend, maps.Keys(map[trackio.RunRef]bool{ref: true})); err != nil {
		return err
	}
	infos, err := listRuns(ctx, e.Backend, ref.Project, trackio.ListOptions{})
	if err != nil {
		if err := wantKind("ListRuns of a project that lost its last run", err, trackio.ErrNotFound); err != nil {
			return err
		}
	}
	if len(infos) > 0 {
		return fmt.Errorf("ListRuns still lists %d runs", len(infos))
	}
	again := small(e.Key(), "again")
	if _, err := put(ctx, e.Backend, ref, again); err != nil {
		return err
	}
	return holds(ctx, e.Backend, ref, again)
}
