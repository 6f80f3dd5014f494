package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func bulkChecks() []Check {
	return []Check{
		{"bulk/changes", "ChangeRuns moves, renames and deletes runs, one after the other as MoveRun, RenameRun and DeleteRun would", bulkChanges},
		{"bulk/results", "It yields one result for each change, in their order.", bulkResults},
		{"bulk/refused", "A change that is refused has the error in its result and does not keep the others from happening.", bulkRefused},
		{"bulk/guards", "change only this state of the run", bulkGuards},
		{"bulk/one-run", "one after the other as MoveRun, RenameRun and DeleteRun would", bulkOneRun},
		{"bulk/cancelled", "No change whose result was not yielded has happened then, unless the error says that it cannot know", bulkCancelled},
		{"bulk/concurrent", "Two processes on one storage are safe.", bulkConcurrent},
	}
}

// changeRuns makes changes and wants a result for each.
func changeRuns(ctx context.Context, b trackio.Backend, changes []trackio.Change) ([]trackio.ChangeResult, error) {
	changer, ok := trackio.As[trackio.BulkChanger](b)
	if !ok {
		return nil, errors.New("another handle on the storage is no BulkChanger")
	}
	results, err := collect(changer.ChangeRuns(ctx, changes))
	if err != nil {
		return results, fmt.Errorf("ChangeRuns of %d runs: %w", len(changes), err)
	}
	if len(results) != len(changes) {
		return results, fmt.Errorf("ChangeRuns of %d runs yielded %d results", len(changes), len(results))
	}
	return results, nil
}

// changeAll is changeRuns of changes that none may refuse.
func changeAll(ctx context.Context, b trackio.Backend, changes ...trackio.Change) ([]trackio.ChangeResult, error) {
	results, err := changeRuns(ctx, b, changes)
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		if result.Err != nil {
			return nil, fmt.Errorf("change %d of %d, of run %s, was refused: %w", i+1, len(changes), at(changes[i].Run), result.Err)
		}
	}
	return results, nil
}

// bulkChanges does something to each of many runs, and nothing to a bystander of
// the same name.
func bulkChanges(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.BulkChanger](e); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	project, target := e.Project(), e.Project()
	before, after := map[trackio.RunRef]run{}, map[trackio.RunRef]run{}
	var changes []trackio.Change
	var gone []trackio.RunRef
	for i := range 12 {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		r := withMedia(e.Key(), "one name", newFile("0/a.png", fmt.Appendf(nil, "picture %d", i)))
		if i < 3 {
			r = full(e.Key(), "one name")
		}
		before[ref] = r
		switch i % 4 {
		case 0:
			changes = append(changes, trackio.Change{Run: ref, Kind: trackio.ChangeMove, To: target, Force: true})
			after[trackio.RunRef{Project: target, ID: ref.ID}] = r
			gone = append(gone, ref)
		case 1:
			changes = append(changes, trackio.Change{Run: ref, Kind: trackio.ChangeRename, Name: fmt.Sprint("renamed ", i)})
			after[ref] = r.named(fmt.Sprint("renamed ", i))
		case 2:
			changes = append(changes, trackio.Change{Run: ref, Kind: trackio.ChangeDelete})
			gone = append(gone, ref)
		default:
			after[ref] = r
		}
	}
	if err := putAll(ctx, e.Backend, before); err != nil {
		return err
	}
	if _, err := changeAll(ctx, e.Backend, changes...); err != nil {
		return err
	}
	for handle, b := range map[string]trackio.Backend{"the same handle": e.Backend, "another handle": other} {
		errs := []error{holdsAll(ctx, b, after)}
		for _, ref := range gone {
			errs = append(errs, absent(ctx, b, ref))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("after ChangeRuns, through %s: %w", handle, err)
		}
	}
	return nil
}

// bulkResults looks at what is yielded, and that nothing at all is for no changes.
func bulkResults(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.BulkChanger](e); err != nil {
		return err
	}
	if _, err := changeRuns(ctx, e.Backend, nil); err != nil {
		return err
	}
	project, target := e.Project(), e.Project()
	var changes []trackio.Change
	var want []trackio.RunInfo
	for i := range 9 {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		r := full(e.Key(), fmt.Sprint("run ", i))
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		info := trackio.RunInfo{RunRef: ref, Name: r.name, CreatedAt: r.createdAt()}
		change := trackio.Change{Run: ref, Force: true}
		switch i % 3 {
		case 0:
			change.Kind, change.To = trackio.ChangeMove, target
			info.Project = target
		case 1:
			change.Kind, change.Name = trackio.ChangeRename, "renamed"
			info.Name = "renamed"
		default:
			change.Kind = trackio.ChangeDelete
			info = trackio.RunInfo{}
		}
		changes, want = append(changes, change), append(want, info)
	}
	results, err := changeAll(ctx, e.Backend, changes...)
	if err != nil {
		return err
	}
	for i, want := range want {
		got := results[i].Run
		if got.RunRef != want.RunRef || got.Name != want.Name {
			return fmt.Errorf("result %d of ChangeRuns is the run %s named %q, want %s named %q", i+1, at(got.RunRef), got.Name, at(want.RunRef), want.Name)
		}
		if changes[i].Kind == trackio.ChangeDelete {
			continue
		}
		revision, err := revisionOf(ctx, e.Backend, want.RunRef)
		if err != nil {
			return err
		}
		if got.Revision != revision {
			return fmt.Errorf("result %d of ChangeRuns has the revision %q, GetRun returns %q with no change between them", i+1, got.Revision, revision)
		}
		if err := sameTime(fmt.Sprintf("CreatedAt of result %d of ChangeRuns", i+1), want.CreatedAt, got.CreatedAt); err != nil {
			return err
		}
	}
	return nil
}

// bulkRefused puts changes that cannot be made between others that can.
func bulkRefused(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.BulkChanger](e); err != nil {
		return err
	}
	project, target := e.Project(), e.Project()
	runs := map[trackio.RunRef]run{}
	fresh := func(r run) trackio.RunRef {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		runs[ref] = r
		return ref
	}
	first, middle, last := fresh(full(e.Key(), "moves").delivered()), fresh(small(e.Key(), "is renamed")), fresh(small(e.Key(), "is deleted"))
	taken, stays, pending := fresh(small(e.Key(), "has a rival")), fresh(small(e.Key(), "stays")), fresh(full(e.Key(), "is not delivered"))
	live := small(e.Key(), "live")
	row := metricsRow(e.Key(), 1, `{"loss":0.4}`)
	row.Timestamp = trackio.FormatTime(time.Now().UTC())
	live.metrics = append(live.metrics, row)
	writing := fresh(live)
	rival := trackio.RunRef{Project: target, ID: taken.ID}
	runs[rival] = small(e.Key(), "rival")
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	unknown := trackio.RunRef{Project: project, ID: e.Key()}
	nowhere := trackio.RunRef{Project: e.Project(), ID: stays.ID}
	cases := []struct {
		change trackio.Change
		want   error
	}{
		{trackio.Change{Run: unknown, Kind: trackio.ChangeDelete}, trackio.ErrNotFound},
		{trackio.Change{Run: first, Kind: trackio.ChangeMove, To: target}, nil},
		{trackio.Change{Run: taken, Kind: trackio.ChangeMove, To: target, Force: true}, trackio.ErrExists},
		{trackio.Change{Run: nowhere, Kind: trackio.ChangeMove, To: target}, trackio.ErrNotFound},
		{trackio.Change{Run: stays, Kind: trackio.ChangeMove, To: project}, trackio.ErrInvalid},
		{trackio.Change{Run: middle, Kind: trackio.ChangeRename, Name: "renamed"}, nil},
		{trackio.Change{Run: pending, Kind: trackio.ChangeMove, To: target}, trackio.ErrConflict},
		{trackio.Change{Run: writing, Kind: trackio.ChangeDelete}, trackio.ErrConflict},
		{trackio.Change{Run: writing, Kind: trackio.ChangeMove, To: target}, trackio.ErrConflict},
		{trackio.Change{Run: stays}, trackio.ErrInvalid},
		{trackio.Change{Run: last, Kind: trackio.ChangeDelete}, nil},
		{trackio.Change{Run: unknown, Kind: trackio.ChangeRename, Name: "x"}, trackio.ErrNotFound},
	}
	var changes []trackio.Change
	for _, c := range cases {
		changes = append(changes, c.change)
	}
	results, err := changeRuns(ctx, e.Backend, changes)
	if err != nil {
		return err
	}
	for i, c := range cases {
		what := fmt.Sprintf("change %d of ChangeRuns, %+v,", i+1, c.change)
		if c.want == nil {
			if results[i].Err != nil {
				return fmt.Errorf("%s beside others that are refused: %w", what, results[i].Err)
			}
			continue
		}
		if err := wantKind(what, results[i].Err, c.want); err != nil {
			return err
		}
		if results[i].Run.ID != "" {
			return fmt.Errorf("%s was refused, and has the run %s in its result", what, at(results[i].Run.RunRef))
		}
	}
	runs[trackio.RunRef{Project: target, ID: first.ID}] = runs[first]
	runs[middle] = runs[middle].named("renamed")
	delete(runs, first)
	delete(runs, last)
	if err := errors.Join(holdsAll(ctx, e.Backend, runs), absent(ctx, e.Backend, first), absent(ctx, e.Backend, last)); err != nil {
		return fmt.Errorf("after ChangeRuns, of which some were refused: %w", err)
	}
	return nil
}
