package cli

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// watched notes what is asked of a backend.
type watched struct {
	trackio.Backend
	exports *[]trackio.ExportOptions
	lists   *[]trackio.ListOptions
	summed  *int
}

func (w watched) As(target any) bool {
	if s, ok := target.(*trackio.Summarizer); ok {
		*w.summed++
		*s, ok = w.Backend.(trackio.Summarizer)
		return ok
	}
	return false
}

func (w watched) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	*w.exports = append(*w.exports, opts)
	return w.Backend.ExportRun(ctx, ref, opts)
}

func (w watched) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	*w.lists = append(*w.lists, opts)
	return w.Backend.ListRuns(ctx, project, opts)
}

// A window is read as a window: the storage is told which rows are wanted, and
// neither the whole run nor its summary is asked for.
func TestWindowsAreHints(t *testing.T) {
	steps := func(from, to int64) trackio.Range[int64] { return trackio.Range[int64]{From: &from, To: &to} }
	for _, c := range []struct {
		args []string
		want trackio.Range[int64]
	}{
		{[]string{"get", "metric", "--metric", "loss", "--around", "2", "--window", "1"}, steps(1, 3)},
		{[]string{"get", "metric", "--metric", "loss", "--step", "2"}, steps(2, 2)},
		{[]string{"get", "snapshot", "--around", "2"}, steps(-8, 12)},
		{[]string{"get", "snapshot", "--around", "9223372036854775807", "--window", "1"}, steps(9223372036854775806, 9223372036854775807)},
	} {
		r := newRig(t)
		r.fill()
		var exports []trackio.ExportOptions
		var lists []trackio.ListOptions
		summed := 0
		r.wrap = func(b trackio.Backend) trackio.Backend { return watched{b, &exports, &lists, &summed} }
		r.ok(append(slices.Clone(c.args), "--project", "p", "--run", "first", "--json")...)
		if len(exports) != 1 || summed != 0 {
			t.Fatalf("%q: %d exports, %d summaries", c.args, len(exports), summed)
		}
		got := exports[0]
		if got.Kinds != trackio.KindMetrics || !got.NoBodies || *got.Steps.From != *c.want.From || *got.Steps.To != *c.want.To {
			t.Errorf("%q: %+v, steps %d to %d", c.args, got, *got.Steps.From, *got.Steps.To)
		}
		if len(lists) != 1 || lists[0] != (trackio.ListOptions{}) {
			t.Errorf("%q: lists %+v", c.args, lists)
		}
	}

	r := newRig(t)
	r.fill()
	var exports []trackio.ExportOptions
	var lists []trackio.ListOptions
	summed := 0
	r.wrap = func(b trackio.Backend) trackio.Backend { return watched{b, &exports, &lists, &summed} }
	r.ok("get", "metric", "--metric", "loss", "--project", "p", "--run", "first", "--at-time", "2026-01-01T01:02:00+01:00", "--window", "60")
	if from, to := exports[0].Times.From, exports[0].Times.To; trackio.FormatTime(from.UTC()) != at(1) || trackio.FormatTime(to.UTC()) != at(3) {
		t.Errorf("--at-time: %v to %v", from, to)
	}
}

// A window without values tells whether the metric is known at all. One that the
// run begins with is known without a summary, which reads every row.
func TestEmptyWindow(t *testing.T) {
	r := newRig(t)
	rows := make([]trackio.MetricsRow, earlyRows+1)
	for i := range rows {
		rows[i] = trackio.MetricsRow{Timestamp: at(i), Step: int64(i), Metrics: []byte(`{"loss":1,"late/x":{"late":2}}`)}
	}
	rows[earlyRows].Metrics = []byte(`{"late":1}`)
	r.add("p", "1", "long", begin(), &trackio.Metrics{Rows: rows})
	var exports []trackio.ExportOptions
	var lists []trackio.ListOptions
	summed := 0
	r.wrap = func(b trackio.Backend) trackio.Backend { return watched{b, &exports, &lists, &summed} }
	command := func(metric string) []string {
		return []string{"get", "metric", "--project", "p", "--run", "long", "--around", "99999", "--metric", metric}
	}
	for i, c := range []struct {
		metric    string
		summaries int
	}{{"loss", 0}, {"late", 1}} {
		summed = 0
		got := r.run(command(c.metric)...)
		want := `Metric "` + c.metric + `" has no values there; the last step of the run is 1000.`
		if got.code != 0 || !strings.Contains(got.errOut, want) || summed != c.summaries {
			t.Errorf("%d: code %d, %d summaries\n%s", i, got.code, summed, got.errOut)
		}
		if out := r.ok(append(command(c.metric), "--json")...); !strings.Contains(out, `"values": []`) {
			t.Errorf("%d: %s", i, out)
		}
	}
	for _, opts := range exports {
		if opts.Steps == (trackio.Range[int64]{}) && opts.Times == (trackio.Range[time.Time]{}) {
			t.Errorf("the whole run was read: %+v", opts)
		}
	}
	r.fails(3, []string{`metric "nope" not found`}, command("nope")...)
}
