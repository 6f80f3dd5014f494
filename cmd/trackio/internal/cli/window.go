package cli

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// window says which rows of a run are wanted. As in Python a step comes before
// a neighbourhood of steps, and that before one of a time.
type window struct {
	step, around int64
	atTime       string
	size         int64

	hasStep, hasAround bool
	at                 time.Time // of atTime
}

func (a *app) addWindowFlags(cmd *cobra.Command, w *window) {
	flags := cmd.Flags()
	flags.Int64Var(&w.step, "step", 0, "exactly this `step`")
	flags.Int64Var(&w.around, "around", 0, "around this `step` (with --window)")
	flags.StringVar(&w.atTime, "at-time", "", "around this ISO 8601 `time`, UTC if it has no offset")
	flags.Int64Var(&w.size, "window", 10, "`size` each way: steps, with --at-time seconds")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		w.hasStep, w.hasAround = flags.Changed("step"), flags.Changed("around")
		if w.size < 0 {
			return trackio.Errorf(trackio.ErrInvalid, "--window %d is negative", w.size).WithHint("give a number of steps or seconds")
		}
		if !flags.Changed("at-time") {
			return nil
		}
		var err error
		w.at, err = trackio.ParseTime(w.atTime)
		return err
	}
}

// given reports whether less than the whole run is wanted.
func (w *window) given() bool { return w.hasStep || w.hasAround || !w.at.IsZero() }

// options are the hints for the storage.
func (w *window) options() trackio.ExportOptions {
	var opts trackio.ExportOptions
	switch {
	case w.hasStep, w.hasAround:
		from, to := w.steps()
		opts.Steps = trackio.Range[int64]{From: &from, To: &to}
	case !w.at.IsZero():
		from, to := w.times()
		opts.Times = trackio.Range[time.Time]{From: &from, To: &to}
	}
	return opts
}

func (w *window) steps() (from, to int64) {
	if w.hasStep {
		return w.step, w.step
	}
	from, to = w.around-w.size, w.around+w.size
	if from > w.around {
		from = math.MinInt64
	}
	if to < w.around {
		to = math.MaxInt64
	}
	return from, to
}

func (w *window) times() (from, to time.Time) {
	radius := time.Duration(min(w.size, math.MaxInt64/int64(time.Second))) * time.Second
	return w.at.Add(-radius), w.at.Add(radius)
}

// holds reports whether a row is wanted. Times are compared as instants.
func (w *window) holds(row trackio.MetricsRow) bool {
	switch {
	case w.hasStep, w.hasAround:
		from, to := w.steps()
		return from <= row.Step && row.Step <= to
	case !w.at.IsZero():
		t, err := trackio.ParseTime(row.Timestamp)
		from, to := w.times()
		return err == nil && !t.Before(from) && !t.After(to)
	}
	return true
}

// valueJSON is one value of a metric in JSON, as Python prints it.
type valueJSON struct {
	Timestamp string          `json:"timestamp"`
	Step      int64           `json:"step"`
	Value     json.RawMessage `json:"value"`
}

// eachValue calls f for every value of one metric inside the window.
func (w *window) eachValue(ctx context.Context, run *trackio.Run, metric string, f func(valueJSON) error) error {
	quoted := mustJSON(metric)
	for row, err := range metricsRows(ctx, run, w.options()) {
		if err != nil {
			return err
		}
		if !w.holds(row) || !mayHold(row.Metrics, quoted) {
			continue
		}
		fields, err := members(row.Metrics)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(fields, func(m member) bool { return m.key == metric })
		if i < 0 {
			continue
		}
		if err := f(valueJSON{row.Timestamp, row.Step, localize(fields[i].value, run.Project(), run.Name())}); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) getMetric() *cobra.Command {
	var f runFlags
	var w window
	var metric string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "metric",
		Short: "Show the values of a metric",
		Example: `  trackio get metric --project mnist --run first --metric loss
  trackio get metric --project mnist --run first --metric loss --around 500 --window 20
  trackio get metric --project mnist --run first --metric loss --at-time 2026-01-31T12:00:00Z --window 60 --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			run, err := a.run(ctx, b, f)
			if err != nil {
				return err
			}
			var found bool
			if asJSON {
				found, err = a.printMetricJSON(ctx, f.project, run, metric, &w)
			} else {
				found, err = a.printMetric(ctx, run, metric, &w)
			}
			if err != nil || found {
				return err
			}
			return a.noValues(ctx, b, run, metric, &w, asJSON)
		}),
	}
	a.addRunFlags(cmd, &f, true)
	cmd.Flags().StringVar(&metric, "metric", "", "`name` of the metric")
	_ = cmd.MarkFlagRequired("metric")
	a.complete(cmd, "metric", a.completeMetrics)
	a.addWindowFlags(cmd, &w)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// printMetricJSON also prints an empty list: it reaches stdout only when the
// command ends without an error.
func (a *app) printMetricJSON(ctx context.Context, project string, run *trackio.Run, metric string, w *window) (found bool, err error) {
	o := a.json()
	o.field("project", project)
	o.field("run", run.Name())
	o.field("metric", metric)
	err = o.list("values", func(add func(any) error) error {
		return w.eachValue(ctx, run, metric, func(v valueJSON) error { found = true; return add(v) })
	})
	if err != nil {
		return found, err
	}
	return found, o.end()
}

func (a *app) printMetric(ctx context.Context, run *trackio.Run, metric string, w *window) (found bool, err error) {
	t := a.table(2, []int{0}, "STEP", "TIME", "VALUE")
	err = w.eachValue(ctx, run, metric, func(v valueJSON) error {
		found = true
		return t.row(stepText(&v.Step), a.env.showStamp(v.Timestamp), showValue(v.Value))
	})
	if err != nil || !found {
		return found, err
	}
	return true, t.end()
}

// noValues ends a command that found no value: the metric is missing, or it is
// only not in the window.
func (a *app) noValues(ctx context.Context, b trackio.Backend, run *trackio.Run, metric string, w *window, asJSON bool) error {
	if w.given() {
		early, err := beginsEarly(ctx, run, metric)
		if err != nil {
			return err
		}
		if early {
			return a.outside(ctx, b, run, metric, asJSON)
		}
	}
	s, err := summarize(ctx, b, run)
	if err != nil {
		return err
	}
	if w.given() && slices.Contains(s.MetricNames, metric) {
		return a.outside(ctx, b, run, metric, asJSON)
	}
	err = trackio.Errorf(trackio.ErrNotFound, "metric %q not found in run %q of project %q", metric, run.Name(), run.Project()).
		WithHint("trackio list metrics --project %s --run-id %s shows them", shellWord(run.Project()), shellWord(run.ID()))
	return suggest(err, "metric", metric, s.MetricNames)
}

// earlyRows are the rows in which most metrics have come up.
const earlyRows = 1000

// beginsEarly looks for a metric in the first rows of a run, which saves the
// look at all of them.
func beginsEarly(ctx context.Context, run *trackio.Run, metric string) (bool, error) {
	// From the first row on: that is a window too, for which no backend looks at
	// the whole run before it begins.
	from, seen := run.Info().CreatedAt, 0
	quoted := mustJSON(metric)
	for row, err := range metricsRows(ctx, run, trackio.ExportOptions{Times: trackio.Range[time.Time]{From: &from}}) {
		if err != nil {
			return false, err
		}
		if mayHold(row.Metrics, quoted) {
			fields, err := members(row.Metrics)
			if err != nil {
				return false, err
			}
			if slices.ContainsFunc(fields, func(m member) bool { return m.key == metric }) {
				return true, nil
			}
		}
		if seen++; seen == earlyRows {
			break
		}
	}
	return false, nil
}

// outside says that a metric has values, but none in the window.
func (a *app) outside(ctx context.Context, b trackio.Backend, run *trackio.Run, metric string, asJSON bool) error {
	if asJSON {
		return nil
	}
	runs, err := a.runs(ctx, b, run.Project(), trackio.ListOptions{Latest: true})
	if err != nil {
		return err
	}
	last := "not known"
	if run, ok := runs.ByID(run.ID()); ok {
		last = stepText(run.Info().LastStep)
	}
	a.say("", "Metric %q has no values there; the last step of the run is %s.", metric, last)
	return nil
}

func (a *app) getSnapshot() *cobra.Command {
	var f runFlags
	var w window
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Show all metrics at or around a step or a time",
		Example: `  trackio get snapshot --project mnist --run first --step 100
  trackio get snapshot --project mnist --run first --around 100 --window 5 --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			if !w.given() {
				return trackio.Errorf(trackio.ErrInvalid, "Provide --step, --around (with --window), or --at-time (with --window).")
			}
			run, err := a.run(ctx, b, f)
			if err != nil {
				return err
			}
			snapshot, err := w.snapshot(ctx, run)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printSnapshotJSON(f.project, run, snapshot, &w)
			}
			return a.printSnapshot(run, snapshot)
		}),
	}
	a.addRunFlags(cmd, &f, true)
	a.addWindowFlags(cmd, &w)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// series is a metric with its values inside a window.
type series struct {
	name   string
	values []valueJSON
}

// snapshot reads all metrics inside the window, in the order in which they
// first appear.
func (w *window) snapshot(ctx context.Context, run *trackio.Run) ([]series, error) {
	var all []series
	index := map[string]int{}
	for row, err := range metricsRows(ctx, run, w.options()) {
		if err != nil {
			return nil, err
		}
		if !w.holds(row) {
			continue
		}
		fields, err := members(row.Metrics)
		if err != nil {
			return nil, err
		}
		for _, m := range fields {
			i, ok := index[m.key]
			if !ok {
				i, index[m.key] = len(all), len(all)
				all = append(all, series{name: m.key})
			}
			all[i].values = append(all[i].values, valueJSON{row.Timestamp, row.Step, localize(m.value, run.Project(), run.Name())})
		}
	}
	return all, nil
}

func (a *app) printSnapshotJSON(project string, run *trackio.Run, snapshot []series, w *window) error {
	var metrics []member
	for _, s := range snapshot {
		values, err := encodeJSON(s.values)
		if err != nil {
			return err
		}
		metrics = append(metrics, member{s.name, values})
	}
	o := a.json()
	o.field("project", project)
	o.field("run", run.Name())
	o.field("metrics", joinObject(metrics))
	if w.hasStep {
		o.field("step", w.step)
	}
	if w.hasAround {
		o.field("around", w.around)
		o.field("window", w.size)
	}
	if !w.at.IsZero() {
		o.field("at_time", w.atTime)
		if !w.hasAround {
			o.field("window", w.size)
		}
	}
	return o.end()
}

func (a *app) printSnapshot(run *trackio.Run, snapshot []series) error {
	if len(snapshot) == 0 {
		a.say("", "Run %q of project %q has no metrics there.", run.Name(), run.Project())
		return nil
	}
	t := a.table(3, []int{1}, "METRIC", "STEP", "TIME", "VALUE")
	for _, s := range snapshot {
		for _, v := range s.values {
			if err := t.row(clean(s.name), stepText(&v.Step), a.env.showStamp(v.Timestamp), showValue(v.Value)); err != nil {
				return err
			}
		}
	}
	return t.end()
}
