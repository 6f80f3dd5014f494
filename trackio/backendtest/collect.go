package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func collectChecks() []Check {
	return []Check{
		{"collect/spares-runs", "What a run refers to is never touched.", collectSparesRuns},
		{"collect/dry-run", "with opts.DryRun it changes nothing and yields what it would remove.", collectDryRun},
		{"collect/gone", "what was yielded before is gone.", collectGone},
		{"collect/grace", "what is younger is left alone", collectGrace},
		{"collect/beside-an-import", "an import under way whose data is collected fails with [ErrConflict] and leaves nothing.", collectBesideImport},
	}
}

// collector collects through a handle of its own. In a storage that is in use it
// only says what it would remove: that would be others' too.
type collector struct {
	trackio.Collector
	backend trackio.Backend
	careful bool
}

func newCollector(ctx context.Context, e *Env) (*collector, error) {
	if _, err := capability[trackio.Collector](e); err != nil {
		return nil, err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return nil, err
	}
	c, ok := trackio.As[trackio.Collector](other)
	if !ok {
		return nil, errors.New("another handle on the storage is no Collector")
	}
	return &collector{c, other, !e.Fresh}, nil
}

// thing names garbage so that it can be found again.
type thing struct{ kind, name string }

func (c *collector) collect(ctx context.Context, opts trackio.CollectOptions) (map[thing]trackio.Garbage, error) {
	opts.DryRun = opts.DryRun || c.careful
	all, err := collect(c.Collect(ctx, opts))
	if err != nil {
		return nil, fmt.Errorf("Collect(%+v): %w", opts, err)
	}
	things := map[thing]trackio.Garbage{}
	for _, g := range all {
		key := thing{g.Kind, g.Name}
		if _, twice := things[key]; twice || g.Kind == "" || g.Name == "" {
			return nil, fmt.Errorf("Collect(%+v) yields %+v: want each thing once, with a kind and a name", opts, g)
		}
		things[key] = g
	}
	return things, nil
}

// litter does what leaves something behind in some storages: imports that fail,
// and a deletion.
func litter(ctx context.Context, e *Env, project string) error {
	r := withMedia(e.Key(), "one name", newFile("0/a.png", []byte("of a failure")), newFile("1/b.bin", noise(12, 300<<10)))
	for _, n := range []int{1, len(r.list(9)) - 1, len(r.list(9))} {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		_, err := e.Backend.ImportRun(ctx, ref, cut(r, n, trackio.Errorf(trackio.ErrUnavailable, "the source went away")))
		if err := anyError(ctx, "ImportRun of a stream that fails", err); err != nil {
			return err
		}
	}
	ref := trackio.RunRef{Project: project, ID: e.Key()}
	if _, err := put(ctx, e.Backend, ref, full(e.Key(), "one name")); err != nil {
		return err
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	return nil
}

// collectSparesRuns collects among runs that were imported, moved and renamed,
// beside one that was deleted, and again when another has come.
func collectSparesRuns(ctx context.Context, e *Env) error {
	c, err := newCollector(ctx, e)
	if err != nil {
		return err
	}
	project := e.Project()
	runs := crowd(e, project)
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	if mover, ok := trackio.As[trackio.Mover](e.Backend); ok {
		ref, target := trackio.RunRef{Project: project, ID: e.Key()}, e.Project()
		r := withMedia(e.Key(), "one name", newFile("0/a.png", []byte("moved")))
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		if _, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{}); err != nil {
			return fmt.Errorf("MoveRun(%s): %w", at(ref), err)
		}
		runs[trackio.RunRef{Project: target, ID: ref.ID}] = r
	}
	if renamer, ok := trackio.As[trackio.Renamer](e.Backend); ok {
		ref := trackio.RunRef{Project: project, ID: e.Key()}
		r := withMedia(e.Key(), "one name", newFile("0/a.png", []byte("renamed")))
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		if _, err := renamer.RenameRun(ctx, ref, "another name", trackio.RenameOptions{}); err != nil {
			return fmt.Errorf("RenameRun(%s): %w", at(ref), err)
		}
		r.name = "another name"
		runs[ref] = r
	}
	for _, what := range []string{"runs", "one more run"} {
		if err := litter(ctx, e, project); err != nil {
			return err
		}
		if what == "one more run" {
			ref := trackio.RunRef{Project: project, ID: e.Key()}
			runs[ref] = full(e.Key(), "one name")
			if _, err := put(ctx, e.Backend, ref, runs[ref]); err != nil {
				return fmt.Errorf("after Collect: %w", err)
			}
		}
		if _, err := c.collect(ctx, trackio.CollectOptions{}); err != nil {
			return err
		}
		for handle, b := range map[string]trackio.Backend{"the handle that wrote": e.Backend, "the handle that collected": c.backend} {
			if err := holdsAll(ctx, b, runs); err != nil {
				return fmt.Errorf("after Collect beside %s, through %s: %w", what, handle, err)
			}
		}
	}
	return nil
}

func collectDryRun(ctx context.Context, e *Env) error {
	c, err := newCollector(ctx, e)
	if err != nil {
		return err
	}
	project := e.Project()
	runs := crowd(e, project)
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	if err := litter(ctx, e, project); err != nil {
		return err
	}
	before := map[trackio.RunRef]string{}
	for ref := range runs {
		if before[ref], err = revisionOf(ctx, e.Backend, ref); err != nil {
			return err
		}
	}
	first, err := c.collect(ctx, trackio.CollectOptions{DryRun: true})
	if err != nil {
		return err
	}
	if err := holdsAll(ctx, e.Backend, runs); err != nil {
		return fmt.Errorf("after a dry run of Collect: %w", err)
	}
	for ref := range runs {
		after, err := revisionOf(ctx, e.Backend, ref)
		if err != nil {
			return err
		}
		if after != before[ref] {
			return fmt.Errorf("a dry run of Collect changed the revision of run %s from %q to %q", at(ref), before[ref], after)
		}
	}
	if !e.Fresh {
		return nil // what others leave and collect comes and goes
	}
	again, err := c.collect(ctx, trackio.CollectOptions{DryRun: true})
	if err != nil {
		return err
	}
	if !maps.EqualFunc(first, again, func(x, y trackio.Garbage) bool { return x.Objects == y.Objects && x.Bytes == y.Bytes }) {
		return fmt.Errorf("two dry runs of Collect one after the other yield different things: %+v and then %+v", first, again)
	}
	removed, err := c.collect(ctx, trackio.CollectOptions{})
	if err != nil {
		return err
	}
	for key := range first {
		if _, ok := removed[key]; !ok {
			return fmt.Errorf("a dry run of Collect said that it would remove %+v, and it was not removed", key)
		}
	}
	return nil
}

// collectGone collects until nothing is left. Collecting may itself leave a
// little, such as a checkpoint that it made old.
func collectGone(ctx context.Context, e *Env) error {
	c, err := newCollector(ctx, e)
	if err != nil {
		return err
	}
	project := e.Project()
	if err := putAll(ctx, e.Backend, crowd(e, project)); err != nil {
		return err
	}
	if err := litter(ctx, e, project); err != nil {
		return err
	}
	gone := map[thing]trackio.Garbage{}
	for range 4 {
		things, err := c.collect(ctx, trackio.CollectOptions{})
		if err != nil || !e.Fresh || len(things) == 0 {
			return err
		}
		for key := range things {
			if _, again := gone[key]; again {
				return fmt.Errorf("Collect yields %+v, which it had removed before", key)
			}
		}
		maps.Copy(gone, things)
	}
	return fmt.Errorf("Collect finds more each time in a storage that nobody else changes: %+v", slices.Collect(maps.Keys(gone)))
}

// importBeside imports a run and calls beside before its last record.
func importBeside(ctx context.Context, e *Env, ref trackio.RunRef, r run, beside func(context.Context) error) (imported, failed error) {
	list := r.list(500)
	_, imported = e.Backend.ImportRun(ctx, ref, func(yield func(trackio.Record, error) bool) {
		for i, record := range list {
			if i == len(list)-1 {
				call, cancel := context.WithTimeout(ctx, 15*time.Second)
				failed = beside(call)
				cancel()
			}
			if !yield(record, nil) {
				return
			}
		}
	})
	return imported, failed
}

// collectGrace collects what is older than any storage: nothing.
func collectGrace(ctx context.Context, e *Env) error {
	const ever = 50 * 365 * 24 * time.Hour
	c, err := newCollector(ctx, e)
	if err != nil {
		return err
	}
	ref := e.ref()
	if err := litter(ctx, e, ref.Project); err != nil {
		return err
	}
	want := bulky(e.Key())
	imported, failed := importBeside(ctx, e, ref, want, func(ctx context.Context) error {
		things, err := c.collect(ctx, trackio.CollectOptions{Grace: ever})
		for key, g := range things {
			return fmt.Errorf("Collect with a grace of fifty years yields %+v, which is of %s", key, g.Since)
		}
		return err
	})
	if failed != nil {
		return failed
	}
	if imported != nil {
		return fmt.Errorf("ImportRun(%s) beside a collection of what is older than fifty years: %w", at(ref), imported)
	}
	return holds(ctx, c.backend, ref, want)
}

func collectBesideImport(ctx context.Context, e *Env) error {
	c, err := newCollector(ctx, e)
	if err != nil {
		return err
	}
	other, kept := e.ref(), full(e.Key(), "of before")
	if _, err := put(ctx, e.Backend, other, kept); err != nil {
		return err
	}
	ref, want := e.ref(), bulky(e.Key())
	imported, failed := importBeside(ctx, e, ref, want, func(ctx context.Context) error {
		_, err := c.collect(ctx, trackio.CollectOptions{})
		return err
	})
	if failed != nil {
		return fmt.Errorf("beside an import: %w", failed)
	}
	if imported != nil {
		want = withMedia(e.Key(), "second try", newFile("0/a.bin", []byte("of the second try")))
		err := errors.Join(
			wantKind("ImportRun whose data was collected", imported, trackio.ErrConflict),
			nothingLeft(ctx, e, ref, want),
		)
		if err != nil {
			return err
		}
	}
	for _, b := range []trackio.Backend{e.Backend, c.backend} {
		if err := holds(ctx, b, ref, want); err != nil {
			return fmt.Errorf("after ImportRun, during which Collect was called, had returned the error %v: %w", imported, err)
		}
	}
	if _, err := c.collect(ctx, trackio.CollectOptions{}); err != nil {
		return err
	}
	return errors.Join(holds(ctx, e.Backend, ref, want), holds(ctx, e.Backend, other, kept))
}
