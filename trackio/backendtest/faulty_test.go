package backendtest_test

import (
	"context"
	"iter"
	"sync"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

type (
	records = iter.Seq2[trackio.Record, error]
	infos   = iter.Seq2[trackio.RunInfo, error]
	results = iter.Seq2[trackio.ChangeResult, error]
)

// faulty is a handle on a store in memory with some methods replaced by worse
// ones.
type faulty struct {
	*memory.Backend
	*shared

	listProjects  func(context.Context) iter.Seq2[string, error]
	listRuns      func(context.Context, string, trackio.ListOptions) infos
	getRun        func(context.Context, trackio.RunRef) (trackio.RunInfo, error)
	exportRun     func(context.Context, trackio.RunRef, trackio.ExportOptions) records
	importRun     func(context.Context, trackio.RunRef, records) (trackio.RunInfo, error)
	deleteRun     func(context.Context, trackio.RunRef, trackio.DeleteOptions) error
	moveRun       func(context.Context, trackio.RunRef, string, trackio.MoveOptions) (trackio.RunInfo, error)
	renameRun     func(context.Context, trackio.RunRef, string, trackio.RenameOptions) (trackio.RunInfo, error)
	changeRuns    func(context.Context, []trackio.Change) results
	listAlerts    func(context.Context, string, trackio.AlertOptions) iter.Seq2[trackio.Alert, error]
	summarizeRun  func(context.Context, trackio.RunRef) (trackio.Summary, error)
	deleteProject func(context.Context, string, trackio.DeleteOptions) error
	examine       func(context.Context, trackio.ExamineOptions) iter.Seq2[trackio.Finding, error]
	collect       func(context.Context, trackio.CollectOptions) iter.Seq2[trackio.Garbage, error]
	close         func() error
}

// shared is what all faulty handles on one store have in common.
type shared struct {
	mu    sync.Mutex
	runs  map[trackio.RunRef]bool
	files map[trackio.RunRef]map[string]*trackio.Media
	n     int
}

func newShared() *shared {
	return &shared{runs: map[trackio.RunRef]bool{}, files: map[trackio.RunRef]map[string]*trackio.Media{}}
}

func (s *shared) mark(ref trackio.RunRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[ref] = true
}

func (s *shared) marked(ref trackio.RunRef) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[ref]
}

// add counts, for instance the loops that are open.
func (s *shared) add(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n += n
	return s.n
}

func (f *faulty) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	if f.listProjects != nil {
		return f.listProjects(ctx)
	}
	return f.Backend.ListProjects(ctx)
}

func (f *faulty) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) infos {
	if f.listRuns != nil {
		return f.listRuns(ctx, project, opts)
	}
	return f.Backend.ListRuns(ctx, project, opts)
}

func (f *faulty) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	if f.getRun != nil {
		return f.getRun(ctx, ref)
	}
	return f.Backend.GetRun(ctx, ref)
}

func (f *faulty) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
	if f.exportRun != nil {
		return f.exportRun(ctx, ref, opts)
	}
	return f.Backend.ExportRun(ctx, ref, opts)
}

func (f *faulty) ImportRun(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
	if f.importRun != nil {
		return f.importRun(ctx, ref, in)
	}
	return f.Backend.ImportRun(ctx, ref, in)
}

func (f *faulty) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	if f.deleteRun != nil {
		return f.deleteRun(ctx, ref, opts)
	}
	return f.Backend.DeleteRun(ctx, ref, opts)
}

func (f *faulty) MoveRun(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
	if f.moveRun != nil {
		return f.moveRun(ctx, ref, project, opts)
	}
	return f.Backend.MoveRun(ctx, ref, project, opts)
}

func (f *faulty) RenameRun(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
	if f.renameRun != nil {
		return f.renameRun(ctx, ref, name, opts)
	}
	return f.Backend.RenameRun(ctx, ref, name, opts)
}

func (f *faulty) ChangeRuns(ctx context.Context, changes []trackio.Change) results {
	if f.changeRuns != nil {
		return f.changeRuns(ctx, changes)
	}
	return f.Backend.ChangeRuns(ctx, changes)
}

func (f *faulty) ListAlerts(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
	if f.listAlerts != nil {
		return f.listAlerts(ctx, project, opts)
	}
	return f.Backend.ListAlerts(ctx, project, opts)
}

func (f *faulty) SummarizeRun(ctx context.Context, ref trackio.RunRef) (trackio.Summary, error) {
	if f.summarizeRun != nil {
		return f.summarizeRun(ctx, ref)
	}
	return f.Backend.SummarizeRun(ctx, ref)
}

func (f *faulty) DeleteProject(ctx context.Context, project string, opts trackio.DeleteOptions) error {
	if f.deleteProject != nil {
		return f.deleteProject(ctx, project, opts)
	}
	return f.Backend.DeleteProject(ctx, project, opts)
}

func (f *faulty) Examine(ctx context.Context, opts trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
	if f.examine != nil {
		return f.examine(ctx, opts)
	}
	return f.Backend.Examine(ctx, opts)
}

func (f *faulty) Collect(ctx context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	if f.collect != nil {
		return f.collect(ctx, opts)
	}
	return f.Backend.Collect(ctx, opts)
}

func (f *faulty) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.Backend.Close()
}

// changed passes a stream on with each record replaced by what change returns,
// nil to leave it out.
func changed(in records, change func(trackio.Record) trackio.Record) records {
	return func(yield func(trackio.Record, error) bool) {
		for record, err := range in {
			if err == nil {
				if record = change(record); record == nil {
					continue
				}
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// eachMetrics is a change of the rows of metrics alone.
func eachMetrics(change func(*trackio.MetricsRow)) func(trackio.Record) trackio.Record {
	return func(record trackio.Record) trackio.Record {
		m, ok := record.(*trackio.Metrics)
		if !ok {
			return record
		}
		rows := append([]trackio.MetricsRow(nil), m.Rows...)
		for i := range rows {
			change(&rows[i])
		}
		return &trackio.Metrics{Rows: rows}
	}
}

// onImport and onExport make faults of streams.
func onImport(change func(trackio.Record) trackio.Record) func(*faulty) {
	return func(f *faulty) {
		f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
			return f.Backend.ImportRun(ctx, ref, changed(in, change))
		}
	}
}

func onExport(change func(trackio.ExportOptions, trackio.Record) trackio.Record) func(*faulty) {
	return func(f *faulty) {
		f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
			return changed(f.Backend.ExportRun(ctx, ref, opts), func(r trackio.Record) trackio.Record { return change(opts, r) })
		}
	}
}

// rewrite takes a run out and stores it again, changed, as target.
func (f *faulty) rewrite(ctx context.Context, ref, target trackio.RunRef, change func(trackio.Record) trackio.Record) (trackio.RunInfo, error) {
	all, err := readAll(f.Backend.ExportRun(ctx, ref, trackio.ExportOptions{}))
	if err != nil {
		return trackio.RunInfo{}, err
	}
	if err := f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{Force: true}); err != nil {
		return trackio.RunInfo{}, err
	}
	return f.Backend.ImportRun(ctx, target, changed(replay(all, nil), change))
}

// namesakes yields the other runs of the project that have the run's name.
func (f *faulty) namesakes(ctx context.Context, ref trackio.RunRef) iter.Seq[trackio.RunRef] {
	return func(yield func(trackio.RunRef) bool) {
		self, err := f.Backend.GetRun(ctx, ref)
		if err != nil {
			return
		}
		for info, err := range f.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{}) {
			if err == nil && info.ID != ref.ID && info.Name == self.Name && !yield(info.RunRef) {
				return
			}
		}
	}
}
