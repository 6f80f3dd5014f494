package backendtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// bulkGuards makes each kind of change with a revision that is not the run's, of
// a run that is still written to, and at last with the right revision and force.
func bulkGuards(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.BulkChanger](e); err != nil {
		return err
	}
	for _, kind := range []trackio.ChangeKind{trackio.ChangeMove, trackio.ChangeRename, trackio.ChangeDelete} {
		ref, target := e.ref(), e.Project()
		r := small(e.Key(), "guarded")
		r.metrics[0].Timestamp = trackio.FormatTime(time.Now().UTC())
		info, err := put(ctx, e.Backend, ref, r)
		if err != nil {
			return err
		}
		change := func(ifRevision string, force bool) trackio.Change {
			return trackio.Change{Run: ref, Kind: kind, To: target, Name: "renamed", IfRevision: ifRevision, Force: force}
		}
		refused := []trackio.Change{change(info.Revision+"0", true), change("no such revision", true), change(info.Revision, false), change("", false)}
		results, err := changeRuns(ctx, e.Backend, refused)
		if err != nil {
			return err
		}
		for i, result := range results {
			what := fmt.Sprintf("ChangeRuns with %+v, the run being written to and at %q,", refused[i], info.Revision)
			if err := wantKind(what, result.Err, trackio.ErrConflict); err != nil {
				return err
			}
		}
		if err := holds(ctx, e.Backend, ref, r); err != nil {
			return fmt.Errorf("after refused changes: %w", err)
		}
		if _, err := changeAll(ctx, e.Backend, change(info.Revision, true)); err != nil {
			return err
		}
	}
	return nil
}

// bulkOneRun changes one run again and again, and lets another take its place.
func bulkOneRun(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.BulkChanger](e); err != nil {
		return err
	}
	first := e.ref()
	second := trackio.RunRef{Project: e.Project(), ID: first.ID}
	third := trackio.RunRef{Project: e.Project(), ID: first.ID}
	traveller, settler := full(e.Key(), "traveller"), small(e.Key(), "settler")
	if err := putAll(ctx, e.Backend, map[trackio.RunRef]run{first: traveller, second: settler}); err != nil {
		return err
	}
	results, err := changeRuns(ctx, e.Backend, []trackio.Change{
		{Run: second, Kind: trackio.ChangeMove, To: third.Project},
		{Run: first, Kind: trackio.ChangeMove, To: second.Project, Force: true},
		{Run: second, Kind: trackio.ChangeRename, Name: "arrived"},
		{Run: first, Kind: trackio.ChangeDelete},
		{Run: third, Kind: trackio.ChangeDelete},
		{Run: third, Kind: trackio.ChangeDelete},
		{Run: second, Kind: trackio.ChangeMove, To: third.Project, Force: true},
		{Run: third, Kind: trackio.ChangeMove, To: first.Project, Force: true},
	})
	if err != nil {
		return err
	}
	for i, want := range []error{nil, nil, nil, trackio.ErrNotFound, nil, trackio.ErrNotFound, nil, nil} {
		if got := trackio.KindOf(results[i].Err); got != want || want == nil && results[i].Err != nil {
			return fmt.Errorf("change %d of one id in three projects: %v, want the kind %v", i+1, results[i].Err, want)
		}
	}
	return errors.Join(
		holds(ctx, e.Backend, first, traveller.named("arrived")),
		absent(ctx, e.Backend, second), absent(ctx, e.Backend, third),
	)
}

// bulkCancelled gives up before the first, and while results come.
func bulkCancelled(ctx context.Context, e *Env) error {
	changer, err := capability[trackio.BulkChanger](e)
	if err != nil {
		return err
	}
	for _, after := range []int{0, 1, 5} {
		project, target := e.Project(), e.Project()
		runs := map[trackio.RunRef]run{}
		for range 8 {
			runs[trackio.RunRef{Project: project, ID: e.Key()}] = small(e.Key(), "one name")
		}
		if err := putAll(ctx, e.Backend, runs); err != nil {
			return err
		}
		refs := slices.Collect(maps.Keys(runs))
		var changes []trackio.Change
		for _, ref := range refs {
			changes = append(changes, trackio.Change{Run: ref, Kind: trackio.ChangeMove, To: target})
		}
		call, cancel := context.WithCancel(ctx)
		if after == 0 {
			cancel()
		}
		n := 0
		var failed error
		for result, err := range changer.ChangeRuns(call, changes) {
			if err != nil {
				failed = err
				continue
			}
			if result.Err != nil {
				cancel()
				return fmt.Errorf("change %d of ChangeRuns, of run %s, was refused: %w", n+1, at(refs[n]), result.Err)
			}
			if n++; n == after {
				cancel()
			}
		}
		cancel()
		switch {
		case failed == nil && n < len(refs):
			return fmt.Errorf("ChangeRuns, cancelled after %d results, yielded %d of %d and no error", after, n, len(refs))
		case after == 0 && n > 0:
			return fmt.Errorf("ChangeRuns with a context that had ended before yielded %d results", n)
		}
		for i, ref := range refs {
			there, gone := ref, trackio.RunRef{Project: target, ID: ref.ID}
			if i < n {
				there, gone = gone, there
			}
			if err := errors.Join(holds(ctx, e.Backend, there, runs[ref]), absent(ctx, e.Backend, gone)); err != nil {
				return fmt.Errorf("after ChangeRuns, cancelled after %d results, had yielded %d and then the error %v: %w", after, n, failed, err)
			}
		}
	}
	return nil
}

// bulkConcurrent moves runs through one handle, all at once, and deletes every
// second of them through another, one after the other. What both are told must
// add up.
func bulkConcurrent(ctx context.Context, e *Env) error {
	changer, err := capability[trackio.BulkChanger](e)
	if err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	project, target := e.Project(), e.Project()
	runs := map[trackio.RunRef]run{}
	for range 16 {
		runs[trackio.RunRef{Project: project, ID: e.Key()}] = small(e.Key(), "one name")
	}
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	refs := slices.SortedFunc(maps.Keys(runs), func(x, y trackio.RunRef) int { return cmp.Compare(x.ID, y.ID) })
	var moves []trackio.Change
	for _, ref := range refs {
		moves = append(moves, trackio.Change{Run: ref, Kind: trackio.ChangeMove, To: target})
	}
	moving := make(chan error, 1)
	var moved []trackio.ChangeResult
	go func() {
		var err error
		moved, err = collect(changer.ChangeRuns(ctx, moves))
		moving <- err
	}()
	deleted := map[trackio.RunRef]error{}
	for i := 0; i < len(refs); i += 2 {
		deleted[refs[i]] = other.DeleteRun(ctx, refs[i], trackio.DeleteOptions{})
		time.Sleep(10 * time.Millisecond)
	}
	if err := <-moving; err != nil || len(moved) != len(moves) {
		return fmt.Errorf("ChangeRuns of %d runs beside deletions yielded %d results and the error: %w", len(moves), len(moved), err)
	}
	for i, ref := range refs {
		goal := trackio.RunRef{Project: target, ID: ref.ID}
		failed, tried := deleted[ref]
		gone := tried && failed == nil
		var err error
		switch {
		case moved[i].Err != nil:
			err = wantKind("the move", moved[i].Err, trackio.ErrNotFound, trackio.ErrConflict)
		case tried:
			err = wantKind("the deletion of a run that was moved", failed, trackio.ErrNotFound, trackio.ErrConflict)
		}
		switch {
		case err != nil:
		case gone:
			err = errors.Join(absent(ctx, other, ref), absent(ctx, other, goal))
		case moved[i].Err == nil:
			err = errors.Join(absent(ctx, other, ref), holds(ctx, other, goal, runs[ref]))
		default:
			err = errors.Join(absent(ctx, other, goal), holds(ctx, other, ref, runs[ref]))
		}
		if err != nil {
			return fmt.Errorf("run %s, its move with the error %v, deleted beside it: %t: %w", at(ref), moved[i].Err, gone, err)
		}
	}
	return nil
}
