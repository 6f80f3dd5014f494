package sqlite

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// The hints leave out what is not wanted, never what is; media are those that
// the rows in range refer to, wanted themselves or not.
func TestExportHints(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.metric(fakeRun{"id-a", "train"}, "2026-01-01T05:30:12.5+05:30", 9, `{"late":1}`) // 00:00:12.5 UTC
	p.metric(fakeRun{"id-a", "train"}, "no time", 8, `{"odd":1}`)
	p.done()
	b := openDir(t, dir)
	step := func(n int64) *int64 { return &n }
	at := func(text string) *time.Time { v := storedTime(text); return &v }
	tests := []struct {
		name  string
		opts  trackio.ExportOptions
		steps []int64
		media int
		rest  string // system metrics, alerts, traces, config
	}{
		{"all", trackio.ExportOptions{}, []int64{0, 1, 2, 3, 4, 9, 8}, 6, "1 1 1 true"},
		{"steps", trackio.ExportOptions{Steps: trackio.Range[int64]{From: step(1), To: step(3)}}, []int64{1, 2, 3}, 3, "1 1 0 true"},
		{"step of the alert is out", trackio.ExportOptions{Steps: trackio.Range[int64]{From: step(4)}}, []int64{4, 9, 8}, 2, "1 0 1 true"},
		{"times", trackio.ExportOptions{Times: trackio.Range[time.Time]{From: at(stampAt(12)), To: at(stampAt(13))}}, []int64{2, 3, 9}, 2, "0 1 0 true"},
		{"media alone", trackio.ExportOptions{Kinds: trackio.KindMedia}, nil, 6, "0 0 0 false"},
		{"metrics alone", trackio.ExportOptions{Kinds: trackio.KindMetrics}, []int64{0, 1, 2, 3, 4, 9, 8}, 0, "0 0 0 false"},
		{"media in steps", trackio.ExportOptions{Kinds: trackio.KindMedia | trackio.KindAlerts, Steps: trackio.Range[int64]{To: step(0)}}, nil, 1, "0 0 0 false"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			x, err := export(t.Context(), b, trackio.RunRef{Project: "demo", ID: "id-a"}, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			var steps []int64
			for _, row := range x.metrics {
				steps = append(steps, row.Step)
			}
			slices.Sort(steps) // the rows are ordered by their timestamps as text, whatever the offset
			slices.Sort(test.steps)
			rest := fmt.Sprint(len(x.system), len(x.alerts), len(x.traces), x.config != nil)
			if !slices.Equal(steps, test.steps) {
				t.Errorf("steps %v, want %v", steps, test.steps)
			}
			if len(x.media) != test.media || rest != test.rest {
				t.Errorf("%d media, %s; want %d, %s", len(x.media), rest, test.media, test.rest)
			}
		})
	}
}

// A run of many rows comes in batches of bounded size, in order, once each; a row
// that is larger than a batch comes alone.
func TestBatches(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genIDs)
	r := fakeRun{"x", "run"}
	const rows = 4000
	for i := range rows {
		p.metric(r, stampAt(i/10), i, fmt.Sprintf(`{"v":"%0300d"}`, i)) // ten rows share a stamp
	}
	p.metric(r, stampAt(rows), rows, fmt.Sprintf(`{"v":"%0*d"}`, 3*batchSize, 7))
	p.done()
	b := openDir(t, dir)
	next := 0
	for record, err := range b.ExportRun(t.Context(), trackio.RunRef{Project: "demo", ID: "x"}, trackio.ExportOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		batch, ok := record.(*trackio.Metrics)
		if !ok {
			continue
		}
		size := 0
		for _, row := range batch.Rows {
			if row.Step != int64(next) {
				t.Fatalf("row %d has step %d", next, row.Step)
			}
			next++
			size += len(row.Metrics)
		}
		if last := len(batch.Rows[len(batch.Rows)-1].Metrics); size-last > batchSize {
			t.Errorf("a batch of %d bytes", size)
		}
	}
	if next != rows+1 {
		t.Errorf("%d rows, want %d", next, rows+1)
	}
}

// The revision changes with every change that Trackio makes to a run, and with
// none that it makes to another.
func TestRevision(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.insert("metrics", fakeRun{"id-a", "train"}, "timestamp step metrics space_id", stampAt(40), 9, []byte(`{}`), "me/space")
	b := openDir(t, dir)
	revision := func() string {
		info, err := b.GetRun(t.Context(), trackio.RunRef{Project: "demo", ID: "id-a"})
		if err != nil {
			t.Fatal(err)
		}
		return info.Revision
	}
	r := fakeRun{"id-a", "train"}
	last := revision()
	for name, change := range map[string]func(){
		"metrics":        func() { p.metric(r, stampAt(50), 1, `{}`) },
		"system metrics": func() { p.system(r, stampAt(50), `{}`) },
		"alert":          func() { p.alert(r, stampAt(50), "new", "info", nil) },
		"trace":          func() { p.trace(r, "new", stampAt(50), 1, `[]`, "") },
		"config":         func() { p.exec(`UPDATE configs SET config = '{"lr":2}' WHERE run_id = 'id-a'`) },
		"delivered":      func() { p.exec(`UPDATE metrics SET space_id = NULL WHERE run_id = 'id-a'`) },
		"a row goes":     func() { p.exec(`DELETE FROM metrics WHERE run_id = 'id-a' AND step = 2`) },
		"a row replaced": func() {
			p.exec(`DELETE FROM metrics WHERE run_id = 'id-a' AND step = 3`)
			p.metric(r, stampAt(60), 3, `{}`)
		},
		"renamed": func() { p.exec(`UPDATE metrics SET run_name = 'new' WHERE run_id = 'id-a'`) },
	} {
		change()
		now := revision()
		if now == last {
			t.Errorf("%s: the revision stays", name)
		}
		last = now
		p.metric(fakeRun{"id-b", "train"}, stampAt(50), 1, `{}`)
		if revision() != last {
			t.Errorf("%s: another run's row changes the revision", name)
		}
	}
}

func TestListAlerts(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genIDs)
	a, c := fakeRun{"a", "one"}, fakeRun{"b", "two"}
	p.alert(a, stampAt(1), "first", "info", 1)
	p.alert(c, stampAt(2), "second", "warn", nil)
	p.alert(a, stampAt(2), "third", "error", nil)
	p.exec(`UPDATE alerts SET text = 'why' WHERE title = 'third'`)
	p.done()
	old := newProject(t, dir, "old", genNames)
	old.metric(a, stampAt(1), 1, `{}`)
	old.done()
	b := openDir(t, dir)
	list := func(project string, opts trackio.AlertOptions) string {
		t.Helper()
		out := ""
		for alert, err := range b.ListAlerts(t.Context(), project, opts) {
			if err != nil {
				t.Fatal(err)
			}
			out += alert.RunID + "/" + alert.RunName + "/" + alert.Title + "/" + alert.Level + " "
			if (alert.Text != nil) != (alert.Title == "third") || (alert.Step != nil) != (alert.Title == "first") {
				t.Errorf("alert %+v", alert)
			}
		}
		return out
	}
	for opts, want := range map[trackio.AlertOptions]string{
		{}:                                "a/one/third/error b/two/second/warn a/one/first/info ",
		{RunID: "a"}:                      "a/one/third/error a/one/first/info ",
		{Level: "warn"}:                   "b/two/second/warn ",
		{Since: *timeOf(stampAt(2))}:      "a/one/third/error b/two/second/warn ",
		{RunID: "b", Level: "error"}:      "",
		{RunID: "nobody", Level: "error"}: "",
	} {
		if got := list("demo", opts); got != want {
			t.Errorf("%+v: %q, want %q", opts, got, want)
		}
	}
	if got := list("old", trackio.AlertOptions{}); got != "" {
		t.Errorf("a database without alerts has %q", got)
	}
	for _, err := range b.ListAlerts(t.Context(), "nope", trackio.AlertOptions{}) {
		if !errors.Is(err, trackio.ErrNotFound) {
			t.Error(err)
		}
	}
}

func timeOf(text string) *time.Time {
	at := storedTime(text)
	return &at
}

// A name-keyed database that a newer Trackio has opened has tables with ids
// beside it; all are matched by the name, and what is unknown is named.
func TestMixedGenerations(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genNames)
	p.metric(fakeRun{name: "run"}, stampAt(1), 1, `{}`)
	p.exec(`CREATE TABLE traces (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, key TEXT NOT NULL, trace_index INTEGER, messages TEXT NOT NULL, metadata TEXT NOT NULL, search_text TEXT NOT NULL, log_id TEXT, space_id TEXT, spans TEXT);
		CREATE INDEX idx_traces_run_timestamp ON traces(run_id, timestamp); CREATE TABLE foo (x); CREATE TRIGGER t AFTER INSERT ON foo BEGIN SELECT 1; END`)
	p.exec(`INSERT INTO traces VALUES ('t', 'some id', ?, 'run', 1, 'k', 0, '[]', '{}', 's', NULL, NULL, NULL), ('u', 'x', ?, 'traced', 1, 'k', 0, '[]', '{}', 's', NULL, NULL, NULL)`, stampAt(2), stampAt(3))
	p.done()
	b := openDir(t, dir)
	runs := listAll(t, b, "demo")
	if len(runs) != 2 || runs[0].ID != "run" || runs[0].Counts.Traces != 1 || runs[1].ID != "traced" {
		t.Errorf("runs %+v", runs)
	}
	if x := mustExport(t, b, "demo", "run"); len(x.traces) != 1 || *x.traces[0].TraceIndex != 0 {
		t.Errorf("traces %+v", x.traces)
	}
	s, err := b.openRead(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.schema.unknown(); !slices.Equal(got, []string{"column spans of traces", "table foo", "trigger t"}) {
		t.Errorf("unknown %q", got)
	}
}

// The oldest row names the run, and a run without metrics takes its other rows'.
func TestNamesAndTimesOfRuns(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	p.metric(fakeRun{"a", "new name"}, stampAt(9), 1, `{}`)
	p.metric(fakeRun{"a", "old name"}, stampAt(3), 1, `{}`)
	p.system(fakeRun{"a", "system"}, stampAt(1), `{}`)
	p.config(fakeRun{"b", "config only"}, `{"x":1}`, "2026-01-01T00:00:02.000500")
	p.alert(fakeRun{"c", "late"}, stampAt(8), "x", "info", nil)
	p.system(fakeRun{"c", "early"}, stampAt(7), `{}`)
	p.config(fakeRun{"d", "no time"}, `{}`, "")
	p.done()
	var got []string
	for _, r := range listAll(t, openDir(t, dir), "demo") {
		got = append(got, r.ID+" "+r.Name+" "+trackio.FormatTime(r.CreatedAt)+" "+trackio.FormatTime(r.UpdatedAt))
	}
	want := []string{
		"d no time  ", "b config only 2026-01-01T00:00:02.000500+00:00 ",
		"a old name 2026-01-01T00:00:03+00:00 2026-01-01T00:00:09+00:00", "c early 2026-01-01T00:00:07+00:00 2026-01-01T00:00:08+00:00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("runs %q, want %q", got, want)
	}
}

// BenchmarkListRuns lists 100 runs: the cost must not grow with the rows.
func BenchmarkListRuns(b *testing.B) {
	for _, rows := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			dir := b.TempDir()
			p := newProject(b, dir, "demo", genTraces)
			p.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
				INSERT INTO metrics (run_id, timestamp, run_name, step, metrics, log_id)
				SELECT printf('%032x', i % 100), strftime('%Y-%m-%dT%H:%M:%S+00:00', 1767225600 + i, 'unixepoch'), 'run ' || (i % 100), i / 100,
				CAST(printf('{"loss":%d.5,"acc":%d,"img":{"_type":"trackio.image"}}', i, i) AS BLOB), printf('%032x', i) FROM n`, rows)
			p.done()
			time.Sleep(2 * clockTick)
			info, err := os.Stat(dir + "/demo.db")
			if err != nil {
				b.Fatal(err)
			}
			backend := openDir(b, dir)
			b.ReportMetric(float64(info.Size()>>20), "MiB")
			for b.Loop() {
				runs, err := backend.listRuns(b.Context(), "demo", trackio.ListOptions{})
				if err != nil || len(runs) != 100 {
					b.Fatal(len(runs), err)
				}
			}
		})
	}
}
