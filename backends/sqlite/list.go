package sqlite

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// ListProjects implements [trackio.Backend]. A project is a database file of a
// canonical name; registries of models are none.
func (b *Backend) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		projects, err := b.projects(ctx)
		if err != nil {
			yield("", err)
			return
		}
		for _, project := range projects {
			if !yield(project, nil) {
				return
			}
		}
	}
}

func (b *Backend) projects(ctx context.Context) ([]string, error) {
	_, leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrapErr(err, "list the projects in", b.dir)
	}
	var projects []string
	for _, entry := range entries {
		stem, ok := strings.CutSuffix(entry.Name(), ".db")
		if ok && !entry.IsDir() && stem == trackio.CanonicalProject(stem) && !isRegistry(stem) {
			projects = append(projects, stem)
		}
	}
	slices.Sort(projects) // the directory's order counts the ending in
	return projects, nil
}

// ListRuns implements [trackio.Backend]. A run is whatever has rows of any kind
// or a config. Rows that wait in the inbox are counted as Pending of the runs
// that are there; a run that is nowhere but in the inbox is not listed.
func (b *Backend) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	return func(yield func(trackio.RunInfo, error) bool) {
		runs, err := b.listRuns(ctx, project, opts)
		if err != nil {
			yield(trackio.RunInfo{}, err)
			return
		}
		for _, run := range runs {
			if !yield(run, nil) {
				return
			}
		}
	}
}

func (b *Backend) listRuns(ctx context.Context, project string, opts trackio.ListOptions) ([]trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var runs []trackio.RunInfo
	err = b.readVisible(ctx, project, func(s *snapshot, gone goneRuns) error {
		runs = nil
		ids, err := runIDs(ctx, s, s.schema)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if gone[id] {
				continue
			}
			run, err := readRun(ctx, s, s.schema, trackio.RunRef{Project: project, ID: id}, opts)
			if err != nil {
				return err
			}
			runs = append(runs, run)
		}
		if opts.Counts {
			return b.addPending(ctx, project, s.schema.key, runs)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(runs, func(x, y trackio.RunInfo) int {
		return cmp.Or(x.CreatedAt.Compare(y.CreatedAt), cmp.Compare(x.ID, y.ID))
	})
	return runs, nil
}

// GetRun implements [trackio.Backend].
func (b *Backend) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	var info trackio.RunInfo
	err = b.readVisible(ctx, ref.Project, func(s *snapshot, gone goneRuns) (err error) {
		if gone[ref.ID] {
			return errNoRun(ref)
		}
		info, err = b.getRun(ctx, s, s.schema, ref)
		return err
	})
	if err != nil {
		return trackio.RunInfo{}, err
	}
	return info, nil
}

// getRun is GetRun within a transaction.
func (b *Backend) getRun(ctx context.Context, q querier, s *schema, ref trackio.RunRef) (trackio.RunInfo, error) {
	info, err := readRun(ctx, q, s, ref, trackio.ListOptions{Config: true, Latest: true})
	if err != nil {
		return trackio.RunInfo{}, err
	}
	info.Revision, err = b.revision(ctx, q, s, ref.ID)
	return info, err
}

func errNoRun(ref trackio.RunRef) error {
	return trackio.Errorf(trackio.ErrNotFound, "no run with the id %q in project %q", ref.ID, ref.Project).
		WithHint("list the runs of the project to see their ids")
}
