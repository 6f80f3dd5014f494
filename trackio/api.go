package trackio

import (
	"context"
	"errors"
	"iter"
	"slices"
)

// Api is the entry point for programs: the runs of one storage. It keeps the
// name of the Python class that it mirrors. It is safe for use by several
// goroutines.
type Api struct { //nolint:revive // the spelling of Python's trackio.Api is kept on purpose
	backend Backend
}

// New returns an Api on an opened backend. Closing the Api closes the backend.
func New(backend Backend) *Api { return &Api{backend: backend} }

// Backend returns what the Api stands on.
func (a *Api) Backend() Backend { return a.backend }

// Close closes the backend.
func (a *Api) Close() error { return a.backend.Close() }

// Projects returns the canonical names of all projects in byte order.
func (a *Api) Projects(ctx context.Context) ([]string, error) {
	return collect(a.backend.ListProjects(ctx))
}

// Runs returns the runs of a project, the oldest first. The listing is read
// once, here; an unknown project is [ErrNotFound]. The name is made canonical.
func (a *Api) Runs(ctx context.Context, project string) (*Runs, error) {
	return a.RunsWith(ctx, project, ListOptions{})
}

// RunsWith is Runs with a richer listing (see [ListOptions]); what was read with
// it, such as the configs, needs no further request.
func (a *Api) RunsWith(ctx context.Context, project string, opts ListOptions) (*Runs, error) {
	project = CanonicalProject(project)
	infos, err := collect(a.backend.ListRuns(ctx, project, opts))
	if err != nil {
		return nil, err
	}
	runs := &Runs{project: project, runs: make([]*Run, len(infos))}
	for i, info := range infos {
		runs.runs[i] = newRun(a.backend, info, opts.Config)
	}
	return runs, nil
}

// Run returns one run by its id. An unknown one is [ErrNotFound].
func (a *Api) Run(ctx context.Context, project, id string) (*Run, error) {
	info, err := a.backend.GetRun(ctx, RunRef{Project: CanonicalProject(project), ID: id})
	if err != nil {
		return nil, err
	}
	return newRun(a.backend, info, true), nil
}

// DeleteProject deletes a project with all its runs. On a backend that cannot do
// so at once they are deleted one by one; then an error leaves those that were
// not reached, and the project itself may stay, without runs.
func (a *Api) DeleteProject(ctx context.Context, project string, opts DeleteOptions) error {
	project = CanonicalProject(project)
	if deleter, ok := As[ProjectDeleter](a.backend); ok {
		return deleter.DeleteProject(ctx, project, opts)
	}
	runs, err := a.Runs(ctx, project)
	if err != nil {
		return err
	}
	for run := range runs.All() {
		if err := run.DeleteWith(ctx, DeleteOptions{Force: opts.Force}); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// Alerts returns the alerts of a project, the newest first. On a backend that
// cannot list them itself they are gathered run by run.
func (a *Api) Alerts(ctx context.Context, project string, opts AlertOptions) ([]Alert, error) {
	project = CanonicalProject(project)
	if lister, ok := As[AlertLister](a.backend); ok {
		return collect(lister.ListAlerts(ctx, project, opts))
	}
	return gatherAlerts(ctx, a.backend, project, opts)
}

// Runs is the collection of the runs of a project, as it was when it was read.
type Runs struct {
	project string
	runs    []*Run
}

// Project returns the canonical name of the project.
func (r *Runs) Project() string { return r.project }

// Len returns the number of runs.
func (r *Runs) Len() int { return len(r.runs) }

// At returns the i-th run, 0 being the oldest. Like a slice, it panics when i is
// out of range.
func (r *Runs) At(i int) *Run { return r.runs[i] }

// All iterates over the runs, the oldest first.
func (r *Runs) All() iter.Seq[*Run] { return slices.Values(r.runs) }

// ByID returns the run of that id.
func (r *Runs) ByID(id string) (*Run, bool) {
	i := slices.IndexFunc(r.runs, func(run *Run) bool { return run.ID() == id })
	if i < 0 {
		return nil, false
	}
	return r.runs[i], true
}

// Named returns the runs of that name, the oldest first: names may repeat.
func (r *Runs) Named(name string) []*Run {
	var named []*Run
	for _, run := range r.runs {
		if run.Name() == name {
			named = append(named, run)
		}
	}
	return named
}

// collect reads a sequence to its end.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}
