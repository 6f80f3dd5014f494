package backendtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func hintChecks() []Check {
	return []Check{
		{"export/kinds", "Kinds are the kinds of records wanted; others are left out.", exportKinds},
		{"export/steps", "it may yield more, never less. Rows without a step are not touched by Steps.", exportSteps},
		{"export/times", "Steps and Times are hints: rows outside them are not wanted, and a backend that has an index skips them; it may yield more, never less.", exportTimes},
	}
}

func exportKinds(ctx context.Context, e *Env) error {
	ref := e.ref()
	all := full(e.Key(), "kinds")
	if _, err := put(ctx, e.Backend, ref, all); err != nil {
		return err
	}
	for kinds := trackio.Kinds(0); kinds <= trackio.AllKinds; kinds++ {
		want := run{name: all.name}
		if kinds.Has(trackio.KindConfig) {
			want.config = all.config
		}
		if kinds.Has(trackio.KindMetrics) {
			want.metrics = all.metrics
		}
		if kinds.Has(trackio.KindSystemMetrics) {
			want.system = all.system
		}
		if kinds.Has(trackio.KindAlerts) {
			want.alerts = all.alerts
		}
		if kinds.Has(trackio.KindTraces) {
			want.traces = all.traces
		}
		if kinds.Has(trackio.KindMedia) {
			want.media = all.media
		}
		got, _, err := export(ctx, e.Backend, ref, trackio.ExportOptions{Kinds: kinds})
		if err != nil {
			return fmt.Errorf("with Kinds %06b: %w", kinds, err)
		}
		if err := diff(want, got); err != nil {
			return fmt.Errorf("with Kinds %06b: %w", kinds, err)
		}
	}
	return nil
}

// ranged returns a run with rows of every kind at many steps and times, some at
// once and some with no step.
func ranged(key string) run {
	r := run{name: "ranged", config: &trackio.Config{JSON: json.RawMessage(`{"a":1}`), CreatedAt: stamp(0)}}
	for i := range 60 {
		row := metricsRow(key, i, fmt.Sprintf(`{"i":%d}`, i))
		row.Step = int64((i * 7) % 30) // not in the order of time, each twice
		switch i {
		case 20, 40:
			path := fmt.Sprintf("%d/a.png", row.Step)
			if i == 40 {
				path = fmt.Sprintf("%d/b.png", row.Step)
			}
			row.Metrics = json.RawMessage(image(path))
			r.media = append(r.media, newFile(path, []byte(path)))
		}
		r.metrics = append(r.metrics, row)
		r.system = append(r.system, trackio.SystemMetricsRow{Timestamp: stamp(i), Metrics: json.RawMessage(`{"gpu":1}`)})
		alert := trackio.AlertRow{Timestamp: stamp(i), Title: fmt.Sprint(i), Level: "info"}
		if i%2 == 0 {
			alert.Step = new(row.Step)
		}
		r.alerts = append(r.alerts, alert)
		r.traces = append(r.traces, trackio.TraceRow{
			ID: fmt.Sprintf("%s-%d", key, i), Timestamp: stamp(i), Step: row.Step, Key: "k",
			Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`),
		})
	}
	slices.SortFunc(r.media, func(x, y file) int {
		if x.path < y.path {
			return -1
		}
		return 1
	})
	return r
}

// narrowed returns the rows that are wanted, and the media that a wanted row
// refers to, which nobody may leave out.
func narrowed(r run, step func(*int64) bool, when func(string) bool) run {
	keep := run{name: r.name, config: r.config}
	for _, row := range r.metrics {
		if step(&row.Step) && when(row.Timestamp) {
			keep.metrics = append(keep.metrics, row)
			for _, f := range r.media {
				if string(row.Metrics) == image(f.path) {
					keep.media = append(keep.media, f)
				}
			}
		}
	}
	for _, row := range r.system {
		if step(nil) && when(row.Timestamp) {
			keep.system = append(keep.system, row)
		}
	}
	for _, row := range r.alerts {
		if step(row.Step) && when(row.Timestamp) {
			keep.alerts = append(keep.alerts, row)
		}
	}
	for _, row := range r.traces {
		if step(&row.Step) && when(row.Timestamp) {
			keep.traces = append(keep.traces, row)
		}
	}
	return keep
}

// covers reports a wanted row or file that did not come. More may have come.
func covers(want, got run, step func(*int64) bool, when func(string) bool) error {
	got = narrowed(got, step, when)
	var media []file // as many as are wanted; the rest is the exporter's choice
	for _, f := range got.media {
		if slices.ContainsFunc(want.media, func(w file) bool { return w.path == f.path }) {
			media = append(media, f)
		}
	}
	got.media = media
	return diff(want, got)
}

func exportSteps(ctx context.Context, e *Env) error {
	ref := e.ref()
	all := ranged(e.Key())
	if _, err := put(ctx, e.Backend, ref, all); err != nil {
		return err
	}
	for _, steps := range []trackio.Range[int64]{
		{From: new(int64(20))},
		{To: new(int64(10))},
		{From: new(int64(10)), To: new(int64(20))},
		{From: new(int64(0)), To: new(int64(0))},
		{From: new(int64(1000))},
		{From: new(int64(-5)), To: new(int64(29))},
	} {
		inside := func(step *int64) bool {
			return step == nil || (steps.From == nil || *step >= *steps.From) && (steps.To == nil || *step <= *steps.To)
		}
		always := func(string) bool { return true }
		got, _, err := export(ctx, e.Backend, ref, trackio.ExportOptions{Steps: steps})
		if err == nil {
			err = covers(narrowed(all, inside, always), got, inside, always)
		}
		if err != nil {
			return fmt.Errorf("with Steps from %s to %s: %w", show(steps.From), show(steps.To), err)
		}
	}
	return nil
}

func exportTimes(ctx context.Context, e *Env) error {
	ref := e.ref()
	all := ranged(e.Key())
	// One row whose text sorts after its instant: 16:00 at +05:45 is 10:15 UTC.
	odd := metricsRow(e.Key(), 60, `{"other":"offset"}`)
	odd.Timestamp, odd.Step = "2026-01-01T16:00:00+05:45", 3
	all.metrics = append(all.metrics, odd)
	if _, err := put(ctx, e.Backend, ref, all); err != nil {
		return err
	}
	second := func(i int) *time.Time { return new(epoch.Add(time.Duration(i) * time.Second)) }
	paris := new(epoch.Add(20 * time.Second).In(time.FixedZone("", 3600)))
	for _, times := range []trackio.Range[time.Time]{
		{From: second(30)},
		{To: second(30)},
		{From: second(20), To: second(40)},
		{From: paris, To: second(20)},
		{From: new(epoch.Add(-time.Hour)), To: new(epoch.Add(-time.Minute))},
		{From: new(epoch.Add(10 * time.Minute)), To: new(epoch.Add(20 * time.Minute))},
	} {
		inside := func(stamp string) bool {
			t, err := trackio.ParseTime(stamp)
			return err != nil || (times.From == nil || !t.Before(*times.From)) && (times.To == nil || !t.After(*times.To))
		}
		always := func(*int64) bool { return true }
		got, _, err := export(ctx, e.Backend, ref, trackio.ExportOptions{Times: times})
		if err == nil {
			err = covers(narrowed(all, always, inside), got, always, inside)
		}
		if err != nil {
			return fmt.Errorf("with Times from %v to %v: %w", times.From, times.To, err)
		}
	}
	return nil
}
