package memory

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// batchRows is the number of rows that an export puts into one record.
const batchRows = 500

// run is a stored run. It is never changed once it is in a [Store].
type run struct {
	ref      trackio.RunRef
	name     string
	revision string

	config  *trackio.Config // nil when there is none
	metrics []trackio.MetricsRow
	system  []trackio.SystemMetricsRow
	alerts  []trackio.AlertRow
	traces  []trackio.TraceRow
	media   []file

	// What listings show, settled when the run came in.
	createdAt, updatedAt time.Time
	lastStep             *int64
	undelivered          bool
}

// file is one of a run's media; its body is nil when the file is missing.
type file struct {
	trackio.Media
	body []byte
}

// listed returns the run as a listing shows it.
func (r *run) listed(opts trackio.ListOptions) trackio.RunInfo {
	info := trackio.RunInfo{RunRef: r.ref, Name: r.name, CreatedAt: r.createdAt}
	if opts.Config && r.config != nil {
		info.Config = bytes.Clone(r.config.JSON)
	}
	if opts.Latest {
		info.LastStep, info.UpdatedAt = r.lastStep, r.updatedAt
	}
	if opts.Counts {
		counts := r.counts()
		info.Counts = &counts
	}
	return info
}

// info returns all that is known about the run without its rows.
func (r *run) info() trackio.RunInfo {
	info := r.listed(trackio.ListOptions{Config: true, Latest: true})
	info.Revision = r.revision
	return info
}

func (r *run) counts() trackio.Counts {
	return trackio.Counts{
		Metrics:       int64(len(r.metrics)),
		SystemMetrics: int64(len(r.system)),
		Alerts:        int64(len(r.alerts)),
		Traces:        int64(len(r.traces)),
	}
}

// guard reports why the run must not be changed.
func (r *run) guard(ifRevision string, force bool) error {
	if ifRevision != "" && ifRevision != r.revision {
		return trackio.Errorf(trackio.ErrConflict, "run %q of project %q has changed meanwhile", r.ref.ID, r.ref.Project).
			WithHint("read the run again and decide anew")
	}
	if !force && !r.updatedAt.IsZero() && time.Since(r.updatedAt) < LiveFor {
		return trackio.Errorf(trackio.ErrConflict, "run %q of project %q is still written to: its newest row is of %s",
			r.ref.ID, r.ref.Project, trackio.FormatTime(r.updatedAt)).
			WithHint("wait until the training has ended, or force it")
	}
	return nil
}

// records yields the run as a stream, the media with fresh readers.
func (r *run) records(opts trackio.ExportOptions) iter.Seq[trackio.Record] {
	kinds := opts.Kinds
	if kinds == 0 {
		kinds = trackio.AllKinds
	}
	return func(yield func(trackio.Record) bool) {
		ok := yield(&trackio.Header{RunInfo: r.info(), Kinds: kinds})
		if ok && kinds.Has(trackio.KindConfig) && r.config != nil {
			ok = yield(&trackio.Config{JSON: bytes.Clone(r.config.JSON), CreatedAt: r.config.CreatedAt})
		}
		if ok && kinds.Has(trackio.KindMetrics) {
			ok = batches(r.metrics,
				func(row *trackio.MetricsRow) bool { return wanted(opts, &row.Step, row.Timestamp) },
				func(rows []trackio.MetricsRow) bool { return yield(&trackio.Metrics{Rows: rows}) })
		}
		if ok && kinds.Has(trackio.KindSystemMetrics) {
			ok = batches(r.system,
				func(row *trackio.SystemMetricsRow) bool { return wanted(opts, nil, row.Timestamp) },
				func(rows []trackio.SystemMetricsRow) bool { return yield(&trackio.SystemMetrics{Rows: rows}) })
		}
		if ok && kinds.Has(trackio.KindAlerts) {
			ok = batches(r.alerts,
				func(row *trackio.AlertRow) bool { return wanted(opts, row.Step, row.Timestamp) },
				func(rows []trackio.AlertRow) bool { return yield(&trackio.Alerts{Rows: rows}) })
		}
		if ok && kinds.Has(trackio.KindTraces) {
			ok = batches(r.traces,
				func(row *trackio.TraceRow) bool { return wanted(opts, &row.Step, row.Timestamp) },
				func(rows []trackio.TraceRow) bool { return yield(&trackio.Traces{Rows: rows}) })
		}
		if !kinds.Has(trackio.KindMedia) {
			return
		}
		for _, f := range r.media {
			if !ok {
				return
			}
			m := f.Media
			if !m.Missing && !opts.NoBodies {
				m.Body = bytes.NewReader(f.body)
			}
			ok = yield(&m)
		}
	}
}

// batches yields copies of the wanted rows, some at a time, and reports whether
// the reader wants to go on.
func batches[T any](rows []T, want func(*T) bool, yield func([]T) bool) bool {
	var batch []T
	for i := range rows {
		if !want(&rows[i]) {
			continue
		}
		batch = append(batch, rows[i])
		if len(batch) == batchRows {
			if !yield(batch) {
				return false
			}
			batch = nil
		}
	}
	return len(batch) == 0 || yield(batch)
}

// wanted reports whether a row lies in the ranges of the options. Rows whose
// step or time is not known do.
func wanted(opts trackio.ExportOptions, step *int64, timestamp string) bool {
	if step != nil {
		if from := opts.Steps.From; from != nil && *step < *from {
			return false
		}
		if to := opts.Steps.To; to != nil && *step > *to {
			return false
		}
	}
	if opts.Times.From == nil && opts.Times.To == nil {
		return true
	}
	at, err := trackio.ParseTime(timestamp)
	if err != nil {
		return true
	}
	if from := opts.Times.From; from != nil && at.Before(*from) {
		return false
	}
	to := opts.Times.To
	return to == nil || !at.After(*to)
}

// alertsLike returns the run's alerts that the options ask for, in the order in
// which they were written.
func (r *run) alertsLike(opts trackio.AlertOptions) []trackio.Alert {
	var alerts []trackio.Alert
	for _, row := range r.alerts {
		if !opts.Matches(row) {
			continue
		}
		alerts = append(alerts, trackio.Alert{RunID: r.ref.ID, RunName: r.name, AlertRow: row})
	}
	return alerts
}

func (r *run) summary() (trackio.Summary, error) {
	s := trackio.Summary{Counts: r.counts(), LastStep: r.lastStep}
	metrics, system := map[string]struct{}{}, map[string]struct{}{}
	for _, row := range r.metrics {
		if err := r.addNames(metrics, row.Metrics); err != nil {
			return trackio.Summary{}, err
		}
	}
	for _, row := range r.system {
		if err := r.addNames(system, row.Metrics); err != nil {
			return trackio.Summary{}, err
		}
	}
	s.MetricNames = slices.Sorted(maps.Keys(metrics))
	s.SystemMetrics = slices.Sorted(maps.Keys(system))
	return s, nil
}

// addNames adds the top-level keys of a payload to a set.
func (r *run) addNames(names map[string]struct{}, payload json.RawMessage) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(payload, &object); err != nil {
		return trackio.Errorf(trackio.ErrDataLoss, "a row of run %q of project %q is no JSON object: %w", r.ref.ID, r.ref.Project, err)
	}
	for name := range object {
		names[name] = struct{}{}
	}
	return nil
}
