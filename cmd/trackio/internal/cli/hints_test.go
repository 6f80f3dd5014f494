package cli

import (
	"context"
	"iter"
	"slices"
	"testing"

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
