// Package memory keeps runs in memory. It is the reference of a
// [trackio.Backend]: the shortest code that keeps every promise, for authors to
// read, and a storage for tests and examples.
//
// # Layout
//
// A [Store] holds the runs and outlives its handles; [Store.Open] opens a
// handle, and several handles on one store stand for several processes on one
// storage. A stored run is never changed: a rename or a move puts a changed copy
// in its place. Whoever holds a run therefore holds a snapshot, and no lock is
// kept while a stream runs.
//
// # Guarantees
//
//   - Every promise of [trackio.Backend] and of the capabilities [trackio.Mover],
//     [trackio.Renamer], [trackio.BulkChanger], [trackio.AlertLister],
//     [trackio.Summarizer], [trackio.ProjectDeleter], [trackio.Examiner] and
//     [trackio.Collector].
//   - An import, a deletion (of a run or a project), a move, a rename and all of
//     a ChangeRuns each happen under one lock, at once: nobody sees a part of
//     them. So none is ever interrupted, and there is nothing for an examination to find, nor anything
//     to collect.
//   - A run whose newest row is younger than [LiveFor] counts as still written
//     to, and one with rows that carry a space id as not delivered.
//   - A project is forgotten with its last run.
//   - Payloads that an export hands out share their bytes with the store: they
//     are for reading.
//   - Media are held in memory in full, unlike in a real storage.
package memory

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// LiveFor is how long after its newest row a run counts as still written to.
const LiveFor = time.Minute

// Store is a storage in memory. It is safe for use by several goroutines.
type Store struct {
	mu       sync.RWMutex
	projects map[string]map[string]*run // project, id
	changes  int64                      // the source of revisions
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{projects: map[string]map[string]*run{}} }

// Open returns a new handle on the store. Closing it closes the handle alone.
func (s *Store) Open() *Backend { return &Backend{store: s} }

// Backend is a handle on a [Store].
type Backend struct {
	store  *Store
	closed atomic.Bool
}

// New returns the only handle on a new, empty store.
func New() *Backend { return NewStore().Open() }

var (
	_ trackio.Backend        = (*Backend)(nil)
	_ trackio.Mover          = (*Backend)(nil)
	_ trackio.Renamer        = (*Backend)(nil)
	_ trackio.BulkChanger    = (*Backend)(nil)
	_ trackio.AlertLister    = (*Backend)(nil)
	_ trackio.Summarizer     = (*Backend)(nil)
	_ trackio.ProjectDeleter = (*Backend)(nil)
	_ trackio.Examiner       = (*Backend)(nil)
	_ trackio.Collector      = (*Backend)(nil)
)

// ListProjects yields the names of all projects in byte order.
func (b *Backend) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	return listing(ctx, b, func() ([]string, error) {
		return slices.Sorted(maps.Keys(b.store.projects)), nil
	})
}

// ListRuns yields the runs of a project, the oldest first.
func (b *Backend) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	return listing(ctx, b, func() ([]trackio.RunInfo, error) {
		runs, err := b.store.runs(project)
		infos := make([]trackio.RunInfo, len(runs))
		for i, r := range runs {
			infos[i] = r.listed(opts)
		}
		return infos, err
	})
}

// GetRun returns one run.
func (b *Backend) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	r, err := b.find(ctx, ref)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	return r.info(), nil
}

// ExportRun yields the records of a run as it is when the loop begins.
func (b *Backend) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		r, err := b.find(ctx, ref)
		if err != nil {
			yield(nil, err)
			return
		}
		for record := range r.records(opts) {
			if err := b.usable(ctx); err != nil {
				yield(nil, err)
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// ImportRun stores a run. The stream is read without a lock, into a run that
// nobody else knows; one step makes it visible.
func (b *Backend) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	taken := func() error {
		if _, ok := b.store.projects[ref.Project][ref.ID]; ok {
			return trackio.Errorf(trackio.ErrExists, "run %q is in project %q already", ref.ID, ref.Project).
				WithHint("delete or move that run first")
		}
		return nil
	}
	if err := b.read(ctx, taken); err != nil { // before reading a long stream for nothing
		return trackio.RunInfo{}, err
	}
	r, err := readRun(ctx, records)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	err = b.write(ctx, func() error {
		if err := taken(); err != nil {
			return err
		}
		r = b.store.put(ref, r)
		return nil
	})
	if err != nil {
		return trackio.RunInfo{}, err
	}
	return r.info(), nil
}

// DeleteProject removes a project with all its runs.
func (b *Backend) DeleteProject(ctx context.Context, project string, opts trackio.DeleteOptions) error {
	return b.write(ctx, func() error {
		runs, err := b.store.runs(project)
		if err != nil {
			return err
		}
		for _, r := range runs {
			if err := r.guard("", opts.Force); err != nil {
				return err
			}
		}
		delete(b.store.projects, project)
		return nil
	})
}

// ListAlerts yields the alerts of a project, the newest first.
func (b *Backend) ListAlerts(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
	return listing(ctx, b, func() ([]trackio.Alert, error) {
		runs, err := b.store.runs(project)
		var alerts []trackio.Alert
		for _, r := range runs {
			if opts.RunID == "" || opts.RunID == r.ref.ID {
				alerts = append(alerts, r.alertsLike(opts)...)
			}
		}
		slices.Reverse(alerts) // the latest written first, where stamps are equal
		slices.SortStableFunc(alerts, func(x, y trackio.Alert) int { return cmp.Compare(y.Timestamp, x.Timestamp) })
		return alerts, err
	})
}

// SummarizeRun sums up a run.
func (b *Backend) SummarizeRun(ctx context.Context, ref trackio.RunRef) (trackio.Summary, error) {
	r, err := b.find(ctx, ref)
	if err != nil {
		return trackio.Summary{}, err
	}
	return r.summary()
}

// Examine finds nothing: no operation on memory is ever interrupted.
func (b *Backend) Examine(ctx context.Context, _ trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
	return listing(ctx, b, func() ([]trackio.Finding, error) { return nil, nil })
}

// Collect finds nothing: an import that fails has kept nothing.
func (b *Backend) Collect(ctx context.Context, _ trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	return listing(ctx, b, func() ([]trackio.Garbage, error) { return nil, nil })
}

// Close closes the handle; streams under way end with an error.
func (b *Backend) Close() error {
	b.closed.Store(true)
	return nil
}

// usable reports why a call cannot go on.
func (b *Backend) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.closed.Load() {
		return trackio.Errorf(trackio.ErrUnavailable, "the backend is closed")
	}
	return nil
}

// read calls f while nothing changes.
func (b *Backend) read(ctx context.Context, f func() error) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	return f()
}

// write calls f while nobody else reads or changes anything.
func (b *Backend) write(ctx context.Context, f func() error) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	return f()
}

// find returns a run, which is a snapshot by nature.
func (b *Backend) find(ctx context.Context, ref trackio.RunRef) (r *run, err error) {
	err = b.read(ctx, func() error {
		r, err = b.store.run(ref)
		return err
	})
	return r, err
}

// listing iterates over what load returns, which is called when the loop begins
// and under the lock; the loop itself runs without.
func listing[T any](ctx context.Context, b *Backend, load func() ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var items []T
		err := b.read(ctx, func() (err error) {
			items, err = load()
			return err
		})
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// run returns a stored run.
func (s *Store) run(ref trackio.RunRef) (*run, error) {
	r, ok := s.projects[ref.Project][ref.ID]
	if !ok {
		return nil, trackio.Errorf(trackio.ErrNotFound, "project %q has no run %q", ref.Project, ref.ID).
			WithHint("list the runs of the project for their ids")
	}
	return r, nil
}

// runs returns the runs of a project, the oldest first.
func (s *Store) runs(project string) ([]*run, error) {
	byID, ok := s.projects[project]
	if !ok {
		return nil, trackio.Errorf(trackio.ErrNotFound, "there is no project %q", project).
			WithHint("list the projects for their names")
	}
	return slices.SortedFunc(maps.Values(byID), func(x, y *run) int {
		return cmp.Or(x.createdAt.Compare(y.createdAt), cmp.Compare(x.ref.ID, y.ref.ID))
	}), nil
}

// put stores a copy of a run under ref, with a revision of its own.
func (s *Store) put(ref trackio.RunRef, r *run) *run {
	s.changes++
	stored := *r
	stored.ref = ref
	stored.revision = strconv.FormatInt(s.changes, 10)
	if s.projects[ref.Project] == nil {
		s.projects[ref.Project] = map[string]*run{}
	}
	s.projects[ref.Project][ref.ID] = &stored
	return &stored
}

// remove forgets a run, and a project with its last one.
func (s *Store) remove(ref trackio.RunRef) {
	delete(s.projects[ref.Project], ref.ID)
	if len(s.projects[ref.Project]) == 0 {
		delete(s.projects, ref.Project)
	}
}
