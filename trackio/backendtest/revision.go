package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func revisionChecks() []Check {
	return []Check{
		{"revision/stable", "Revision changes with any change of the run. Filled by GetRun, ImportRun, MoveRun, RenameRun, ChangeRuns and a stream's Header; empty in lists, and it may be empty in the Header of an export that ExportOptions.Steps or Times narrow, so that a window can be read without looking at the whole run. It is compared, never interpreted.", revisionStable},
		{"revision/changes", "Revision changes with any change of the run.", revisionChanges},
		{"delete/if-revision", "A run that is still written to is [ErrConflict] unless opts.Force is set, and so is one whose revision is not opts.IfRevision.", deleteIfRevision},
		{"move/if-revision", "move only this state of the run; \"\" for any", moveIfRevision},
		{"rename/if-revision", "A failed or cancelled call has changed nothing, or has happened completely.", renameIfRevision},
	}
}

func revisionOf(ctx context.Context, b trackio.Backend, ref trackio.RunRef) (string, error) {
	info, err := b.GetRun(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("GetRun(%s): %w", at(ref), err)
	}
	if info.Revision == "" {
		return "", fmt.Errorf("GetRun(%s) leaves Revision empty", at(ref))
	}
	return info.Revision, nil
}

func revisionStable(ctx context.Context, e *Env) error {
	ref := e.ref()
	info, err := put(ctx, e.Backend, ref, full(e.Key(), "stable"))
	if err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	// Changes beside it, in the same project, are none of this run.
	beside := trackio.RunRef{Project: ref.Project, ID: e.Key()}
	if _, err := put(ctx, other, beside, full(e.Key(), "stable")); err != nil {
		return err
	}
	if err := other.DeleteRun(ctx, beside, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(beside), err)
	}
	for what, b := range map[string]trackio.Backend{"the same handle": e.Backend, "another handle": other} {
		revision, err := revisionOf(ctx, b, ref)
		if err != nil {
			return err
		}
		if revision != info.Revision {
			return fmt.Errorf("GetRun through %s has the revision %q, ImportRun returned %q, and the run has not changed", what, revision, info.Revision)
		}
		_, header, err := export(ctx, b, ref, trackio.ExportOptions{NoBodies: true})
		if err != nil {
			return err
		}
		if header.Revision != info.Revision {
			return fmt.Errorf("the header through %s has the revision %q, ImportRun returned %q, and the run has not changed", what, header.Revision, info.Revision)
		}
	}
	return nil
}

func revisionChanges(ctx context.Context, e *Env) error {
	renamer, err := capability[trackio.Renamer](e)
	if err != nil {
		return err
	}
	ref := e.ref()
	info, err := put(ctx, e.Backend, ref, small(e.Key(), "before"))
	if err != nil {
		return err
	}
	if _, err := renamer.RenameRun(ctx, ref, "after", trackio.RenameOptions{}); err != nil {
		return fmt.Errorf("RenameRun(%s): %w", at(ref), err)
	}
	revision, err := revisionOf(ctx, e.Backend, ref)
	if err != nil {
		return err
	}
	if revision == info.Revision {
		return fmt.Errorf("the revision is %q before and after a renaming", revision)
	}
	err = e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{IfRevision: info.Revision})
	return wantKind("DeleteRun with the revision from before a renaming", err, trackio.ErrConflict)
}

// guarded imports a run, calls change with a revision that is not the run's,
// which must be refused, and then with the right one.
func guarded(ctx context.Context, e *Env, what string, change func(ref trackio.RunRef, ifRevision string) error) (trackio.RunRef, run, error) {
	ref := e.ref()
	r := full(e.Key(), "guarded").delivered()
	info, err := put(ctx, e.Backend, ref, r)
	if err != nil {
		return ref, r, err
	}
	for _, wrong := range []string{"no such revision", info.Revision + "0", " " + info.Revision} {
		if err := wantKind(fmt.Sprintf("%s with IfRevision %q, the run being at %q,", what, wrong, info.Revision), change(ref, wrong), trackio.ErrConflict); err != nil {
			return ref, r, err
		}
		if err := holds(ctx, e.Backend, ref, r); err != nil {
			return ref, r, fmt.Errorf("after a refused %s: %w", what, err)
		}
		revision, err := revisionOf(ctx, e.Backend, ref)
		if err != nil {
			return ref, r, err
		}
		if revision != info.Revision {
			return ref, r, fmt.Errorf("a refused %s changed the revision from %q to %q", what, info.Revision, revision)
		}
	}
	if err := change(ref, info.Revision); err != nil {
		return ref, r, fmt.Errorf("%s with IfRevision %q, which is the run's: %w", what, info.Revision, err)
	}
	return ref, r, nil
}

func deleteIfRevision(ctx context.Context, e *Env) error {
	ref, _, err := guarded(ctx, e, "DeleteRun", func(ref trackio.RunRef, ifRevision string) error {
		return e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{IfRevision: ifRevision})
	})
	if err != nil {
		return err
	}
	return absent(ctx, e.Backend, ref)
}

func moveIfRevision(ctx context.Context, e *Env) error {
	mover, err := capability[trackio.Mover](e)
	if err != nil {
		return err
	}
	target := e.Project()
	ref, r, err := guarded(ctx, e, "MoveRun", func(ref trackio.RunRef, ifRevision string) error {
		if err := noProject(ctx, e.Backend, target); err != nil {
			return err
		}
		_, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{IfRevision: ifRevision})
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(absent(ctx, e.Backend, ref), holds(ctx, e.Backend, trackio.RunRef{Project: target, ID: ref.ID}, r))
}

func renameIfRevision(ctx context.Context, e *Env) error {
	renamer, err := capability[trackio.Renamer](e)
	if err != nil {
		return err
	}
	ref, r, err := guarded(ctx, e, "RenameRun", func(ref trackio.RunRef, ifRevision string) error {
		_, err := renamer.RenameRun(ctx, ref, "renamed", trackio.RenameOptions{IfRevision: ifRevision})
		return err
	})
	if err != nil {
		return err
	}
	return holds(ctx, e.Backend, ref, r.named("renamed"))
}

func liveChecks() []Check {
	return []Check{
		{"delete/live", "A run that is still written to is [ErrConflict] unless opts.Force is set", func(ctx context.Context, e *Env) error {
			return live(ctx, e, "DeleteRun", func(ref trackio.RunRef, force bool) error {
				return e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{Force: force})
			})
		}},
		{"move/live", "move even a run that is still written to, or not delivered", func(ctx context.Context, e *Env) error {
			mover, err := capability[trackio.Mover](e)
			if err != nil {
				return err
			}
			target := e.Project()
			return live(ctx, e, "MoveRun", func(ref trackio.RunRef, force bool) error {
				_, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{Force: force})
				return err
			})
		}},
		{"rename/live", "delete even a run that is still written to", func(ctx context.Context, e *Env) error {
			renamer, err := capability[trackio.Renamer](e)
			if err != nil {
				return err
			}
			return live(ctx, e, "RenameRun", func(ref trackio.RunRef, force bool) error {
				_, err := renamer.RenameRun(ctx, ref, "renamed", trackio.RenameOptions{Force: force})
				return err
			})
		}},
	}
}

// live imports runs whose newest row, of one kind or another, is of this moment.
// They must be refused, left alone, and given up when forced.
func live(ctx context.Context, e *Env, what string, change func(ref trackio.RunRef, force bool) error) error {
	project := e.Project()
	for kind := range 3 {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		r := small(e.Key(), "live")
		now := trackio.FormatTime(time.Now().UTC())
		var newest string
		switch kind {
		case 0:
			row := metricsRow(e.Key(), 1, `{"loss":0.4}`)
			row.Timestamp, newest = now, "metrics"
			r.metrics = append(r.metrics, row)
		case 1:
			r.system, newest = []trackio.SystemMetricsRow{{Timestamp: now, Metrics: []byte(`{"gpu":1}`)}}, "system metrics"
		case 2:
			r.alerts, newest = []trackio.AlertRow{{Timestamp: now, Title: "t", Level: "info"}}, "alert"
		}
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		call := fmt.Sprintf("%s of a run whose newest row (%s) is of %s", what, newest, now)
		if err := wantKind(call, change(ref, false), trackio.ErrConflict); err != nil {
			return err
		}
		if err := holds(ctx, e.Backend, ref, r); err != nil {
			return fmt.Errorf("after a refused %s: %w", what, err)
		}
		if err := change(ref, true); err != nil {
			return fmt.Errorf("%s, with Force: %w", call, err)
		}
	}
	return nil
}
