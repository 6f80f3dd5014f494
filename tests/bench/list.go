package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

const listed = 100 // runs

func (b *bench) list(ctx context.Context) (err error) {
	const turns, limit = 40, 1.5
	store, err := b.sub("list")
	if err != nil {
		return err
	}
	sizes := map[string]int{"small": 10_000, "large": 1_000_000}
	for project, rows := range sizes {
		runs := make([]runRows, listed)
		for i := range runs {
			runs[i] = runRows{id: runID(i), name: fmt.Sprintf("run %d", i), rows: rows / listed}
		}
		if err := generate(ctx, store, project, runs); err != nil {
			return err
		}
	}
	backend, err := sqlite.Open(ctx, sqlite.Config{Dir: store})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	for _, c := range []struct {
		what string
		opts trackio.ListOptions
	}{
		{"in process, names", trackio.ListOptions{}},
		{"in process, names and last steps", trackio.ListOptions{Latest: true}},
	} {
		list := func(project string) func(int) (time.Duration, error) {
			return func(int) (time.Duration, error) {
				return timed(func() error { return listRuns(ctx, backend, project, c.opts, sizes[project]/listed) })
			}
		}
		small, large, err := takeTurns(ctx, turns, list("small"), list("large"))
		if err != nil {
			return err
		}
		b.ratio(c.what, small, large, limit)
	}
	list := func(project string) func(int) (time.Duration, error) {
		return func(int) (time.Duration, error) {
			got, err := b.trackio(ctx, store, "list", "runs", "--project", project)
			return got.took, err
		}
	}
	small, large, err := takeTurns(ctx, turns, list("small"), list("large"))
	if err != nil {
		return err
	}
	b.ratio("trackio list runs", small, large, limit)
	return nil
}

// listRuns lists a project and makes sure that its runs have come, and what was
// asked for about them.
func listRuns(ctx context.Context, backend trackio.Backend, project string, opts trackio.ListOptions, rows int) error {
	n := 0
	for run, err := range backend.ListRuns(ctx, project, opts) {
		if err != nil {
			return err
		}
		if opts.Latest && (run.LastStep == nil || *run.LastStep != int64(rows-1)) {
			return fmt.Errorf("run %q has the last step %v, not %d", run.Name, run.LastStep, rows-1)
		}
		n++
	}
	if n != listed {
		return fmt.Errorf("%d runs were listed, not %d", n, listed)
	}
	return nil
}
