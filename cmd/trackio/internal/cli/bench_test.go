package cli

import (
	"bytes"
	"context"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// BenchmarkVersion is what a command costs before it does anything.
func BenchmarkVersion(b *testing.B) {
	env := Env{Getenv: func(string) string { return "" }}
	for b.Loop() {
		var out bytes.Buffer
		env.Stdout, env.Stderr = &out, &out
		if code := Run(context.Background(), &env, []string{"version"}); code != 0 {
			b.Fatal(out.String())
		}
	}
}

// BenchmarkMetricRows is what a row of "get metric --json" costs here.
func BenchmarkMetricRows(b *testing.B) {
	r := newRig(b)
	rows := make([]trackio.MetricsRow, 10_000)
	for i := range rows {
		rows[i] = trackio.MetricsRow{Timestamp: at(i), Step: int64(i), Metrics: []byte(`{"train/loss":0.25,"acc":0.5,"note":"step"}`)}
	}
	r.add("p", "1", "long", begin(), &trackio.Metrics{Rows: rows})
	for b.Loop() {
		r.ok("get", "metric", "--project", "p", "--run", "long", "--metric", "acc", "--json")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}
