package cli

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// metricsRows yields the metric rows of a run, oldest first. opts are hints:
// rows outside them may come as well.
func metricsRows(ctx context.Context, run *trackio.Run, opts trackio.ExportOptions) iter.Seq2[trackio.MetricsRow, error] {
	opts.Kinds, opts.NoBodies = trackio.KindMetrics, true
	return func(yield func(trackio.MetricsRow, error) bool) {
		for record, err := range run.Records(ctx, opts) {
			if err != nil {
				yield(trackio.MetricsRow{}, err)
				return
			}
			batch, ok := record.(*trackio.Metrics)
			if !ok {
				continue
			}
			for _, row := range batch.Rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// systemRows yields the system metric rows of a run, oldest first.
func systemRows(ctx context.Context, run *trackio.Run) iter.Seq2[trackio.SystemMetricsRow, error] {
	opts := trackio.ExportOptions{Kinds: trackio.KindSystemMetrics, NoBodies: true}
	return func(yield func(trackio.SystemMetricsRow, error) bool) {
		for record, err := range run.Records(ctx, opts) {
			if err != nil {
				yield(trackio.SystemMetricsRow{}, err)
				return
			}
			batch, ok := record.(*trackio.SystemMetrics)
			if !ok {
				continue
			}
			for _, row := range batch.Rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// summarize sums up a run, natively where the backend can. The names "step" and
// "timestamp" are left out, as Python does: they are columns of their own.
func summarize(ctx context.Context, b trackio.Backend, run *trackio.Run) (trackio.Summary, error) {
	s, err := trackio.Summary{}, errors.ErrUnsupported
	if summarizer, ok := trackio.As[trackio.Summarizer](b); ok {
		s, err = summarizer.SummarizeRun(ctx, run.Info().RunRef)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		s, err = summarizeStream(ctx, run)
	}
	s.MetricNames = slices.DeleteFunc(s.MetricNames, func(name string) bool { return name == "step" || name == "timestamp" })
	s.SystemMetrics = slices.DeleteFunc(s.SystemMetrics, func(name string) bool { return name == "timestamp" })
	return s, err
}

// summarizeStream sums up a run from its rows.
func summarizeStream(ctx context.Context, run *trackio.Run) (trackio.Summary, error) {
	var s trackio.Summary
	metrics, system := map[string]bool{}, map[string]bool{}
	opts := trackio.ExportOptions{NoBodies: true,
		Kinds: trackio.KindMetrics | trackio.KindSystemMetrics | trackio.KindAlerts | trackio.KindTraces}
	for record, err := range run.Records(ctx, opts) {
		if err != nil {
			return s, err
		}
		switch r := record.(type) {
		case *trackio.Metrics:
			for _, row := range r.Rows {
				s.Metrics++
				if s.LastStep == nil || row.Step > *s.LastStep {
					s.LastStep = &row.Step
				}
				if err := addKeys(metrics, row.Metrics); err != nil {
					return s, err
				}
			}
		case *trackio.SystemMetrics:
			for _, row := range r.Rows {
				s.Counts.SystemMetrics++
				if err := addKeys(system, row.Metrics); err != nil {
					return s, err
				}
			}
		case *trackio.Alerts:
			s.Alerts += int64(len(r.Rows))
		case *trackio.Traces:
			s.Traces += int64(len(r.Rows))
		}
	}
	s.MetricNames, s.SystemMetrics = slices.Sorted(maps.Keys(metrics)), slices.Sorted(maps.Keys(system))
	return s, nil
}

func addKeys(names map[string]bool, payload []byte) error {
	fields, err := members(payload)
	for _, m := range fields {
		names[m.key] = true
	}
	return err
}
