package backendtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

func summaryChecks() []Check {
	return []Check{
		{"summary/equals-stream", "top-level keys of the metrics, in byte order", summaryEqualsStream},
	}
}

func summaryEqualsStream(ctx context.Context, e *Env) error {
	summarizer, err := capability[trackio.Summarizer](e)
	if err != nil {
		return err
	}
	project := e.Project()
	runs := dated(e)
	runs["full"] = full(e.Key(), "full")
	runs["keys"] = run{name: "keys", metrics: []trackio.MetricsRow{
		metricsRow(e.Key(), 5, `{"b":1,"a":{"nested":1},"B":2,"é":3,"a.b":4,"a\/c":5,"\u00fc":6,"":7}`),
		metricsRow(e.Key(), 3, `{"b":2,"late":null}`),
		metricsRow(e.Key(), 4, `{}`),
	}}
	slices.SortFunc(runs["keys"].metrics, func(x, y trackio.MetricsRow) int { return int(x.Step - y.Step) })
	for id, r := range runs {
		ref := trackio.RunRef{Project: project, ID: id}
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		want, err := r.summary()
		if err != nil {
			return err
		}
		got, err := summarizer.SummarizeRun(ctx, ref)
		if err != nil {
			return fmt.Errorf("SummarizeRun(%s): %w", at(ref), err)
		}
		what := fmt.Sprintf("SummarizeRun of the run %q (%s)", id, r.name)
		switch {
		case got.Counts != want.Counts:
			return fmt.Errorf("%s: the counts are %+v, want %+v", what, got.Counts, want.Counts)
		case !slices.Equal(got.MetricNames, want.MetricNames):
			return fmt.Errorf("%s: MetricNames are %q, want %q", what, got.MetricNames, want.MetricNames)
		case !slices.Equal(got.SystemMetrics, want.SystemMetrics):
			return fmt.Errorf("%s: SystemMetrics are %q, want %q", what, got.SystemMetrics, want.SystemMetrics)
		}
		if err := sameStep(what+": LastStep", want.LastStep, got.LastStep); err != nil {
			return err
		}
	}
	return nil
}

// summary works out the summary from the rows.
func (r run) summary() (trackio.Summary, error) {
	s := trackio.Summary{Counts: trackio.Counts{
		Metrics: int64(len(r.metrics)), SystemMetrics: int64(len(r.system)),
		Alerts: int64(len(r.alerts)), Traces: int64(len(r.traces)),
	}}
	names, system := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, row := range r.metrics {
		if s.LastStep == nil || row.Step > *s.LastStep {
			s.LastStep = new(row.Step)
		}
		if err := json.Unmarshal(row.Metrics, &names); err != nil { // adds to the map
			return s, err
		}
	}
	for _, row := range r.system {
		if err := json.Unmarshal(row.Metrics, &system); err != nil {
			return s, err
		}
	}
	s.MetricNames = slices.Sorted(maps.Keys(names))
	s.SystemMetrics = slices.Sorted(maps.Keys(system))
	return s, nil
}
