package s3

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// SummarizeRun implements [trackio.Summarizer]. The names of the metrics stand in
// the manifest, unless there are very many.
func (b *Backend) SummarizeRun(ctx context.Context, ref trackio.RunRef) (sum trackio.Summary, err error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.Summary{}, err
	}
	defer leave()
	err = b.withRun(ctx, ref, func(r *ledger.Run) error {
		m, err := b.manifestOf(ctx, r)
		if err != nil {
			return err
		}
		sum = trackio.Summary{Counts: countsOf(r), LastStep: r.LastStep, MetricNames: m.MetricNames, SystemMetrics: m.SystemMetrics}
		if m.NamesComplete {
			return nil
		}
		sum.MetricNames, sum.SystemMetrics, err = b.names(ctx, ref.Project, r)
		return err
	})
	return sum, err
}

// alertReaders is how many runs' alerts are read at once.
const alertReaders = 16

// ListAlerts implements [trackio.AlertLister]. Only runs that have alerts are
// read.
func (b *Backend) ListAlerts(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
	return func(yield func(trackio.Alert, error) bool) {
		alerts, err := b.alerts(ctx, project, opts)
		if err != nil {
			yield(trackio.Alert{}, err)
			return
		}
		for _, alert := range alerts {
			if !yield(alert, nil) {
				return
			}
		}
	}
}

func (b *Backend) alerts(ctx context.Context, project string, opts trackio.AlertOptions) ([]trackio.Alert, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	state, err := b.ledger.Load(ctx)
	if err != nil {
		return nil, cause(ctx, err)
	}
	var runs []*ledger.Run
	for r, err := range state.Runs(ctx, project) {
		if err != nil {
			return nil, cause(ctx, err)
		}
		if r.Rows.Alerts > 0 && (opts.RunID == "" || opts.RunID == r.ID) {
			runs = append(runs, r)
		}
	}
	found := make([][]trackio.Alert, len(runs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(alertReaders)
	for i, r := range runs {
		group.Go(func() (err error) {
			found[i], err = b.alertsOf(groupCtx, project, r, opts)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, cause(ctx, err)
	}
	alerts := slices.Concat(found...)
	slices.Reverse(alerts) // the latest written first, where stamps are equal
	slices.SortStableFunc(alerts, func(x, y trackio.Alert) int { return cmp.Compare(y.Timestamp, x.Timestamp) })
	return alerts, nil
}

// alertsOf returns the alerts of a run that are asked for, in the order in which
// they were written.
func (b *Backend) alertsOf(ctx context.Context, project string, r *ledger.Run, opts trackio.AlertOptions) (alerts []trackio.Alert, failed error) {
	b.export(ctx, project, r, trackio.ExportOptions{Kinds: trackio.KindAlerts}, func(record trackio.Record, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		if batch, ok := record.(*trackio.Alerts); ok {
			for _, row := range batch.Rows {
				if opts.Matches(row) {
					alerts = append(alerts, trackio.Alert{RunID: r.ID, RunName: r.Name, AlertRow: row})
				}
			}
		}
		return true
	})
	return alerts, failed
}

// names returns the top-level keys of the payloads of all metrics and system
// metrics of a run, in byte order.
func (b *Backend) names(ctx context.Context, project string, r *ledger.Run) (metrics, system []string, failed error) {
	found := [2]map[string]struct{}{{}, {}}
	add := func(set int, payload json.RawMessage) bool {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(payload, &object); err != nil {
			failed = trackio.Errorf(trackio.ErrDataLoss, "a row of run %q is no JSON object: %w", r.ID, err)
			return false
		}
		for name := range object {
			found[set][name] = struct{}{}
		}
		return true
	}
	opts := trackio.ExportOptions{Kinds: trackio.KindMetrics | trackio.KindSystemMetrics}
	b.export(ctx, project, r, opts, func(record trackio.Record, err error) bool {
		failed = err
		switch record := record.(type) {
		case *trackio.Metrics:
			return !slices.ContainsFunc(record.Rows, func(row trackio.MetricsRow) bool { return !add(0, row.Metrics) })
		case *trackio.SystemMetrics:
			return !slices.ContainsFunc(record.Rows, func(row trackio.SystemMetricsRow) bool { return !add(1, row.Metrics) })
		}
		return failed == nil
	})
	return slices.Sorted(maps.Keys(found[0])), slices.Sorted(maps.Keys(found[1])), failed
}
