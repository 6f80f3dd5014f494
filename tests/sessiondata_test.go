package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// fillSession puts the runs of the session into a place, the same into each.
func fillSession(t *testing.T, p place) {
	t.Helper()
	p.use(t, func(api *trackio.Api) error {
		for _, run := range sessionRuns() {
			if _, err := api.Backend().ImportRun(t.Context(), run.ref, sequence(run.records...)); err != nil {
				return fmt.Errorf("run %s: %w", run.ref.ID, err)
			}
		}
		return nil
	})
}

type sessionRun struct {
	ref     trackio.RunRef
	records []trackio.Record
}

// tomorrow: a run with a row of then counts as written to as long as the session
// may take.
var tomorrow = trackio.FormatTime(time.Now().UTC().Add(24 * time.Hour))

// sessionRuns are runs with all that a run can have, without anything, with
// names that repeat, and with ids that are in two projects.
func sessionRuns() []sessionRun {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(minute int) string { return trackio.FormatTime(begin.Add(time.Duration(minute) * time.Minute)) }
	run := func(project, id, name string, records ...trackio.Record) sessionRun {
		ref := trackio.RunRef{Project: project, ID: id}
		header := &trackio.Header{RunInfo: trackio.RunInfo{RunRef: ref, Name: name, CreatedAt: begin}, Kinds: trackio.AllKinds}
		return sessionRun{ref, append([]trackio.Record{header}, records...)}
	}
	row := func(minute int) trackio.Record {
		return &trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: at(minute), Step: 7, Metrics: []byte(`{"loss":5}`)}}}
	}
	text, step, index := "loss > 5", int64(2), int64(0)
	return []sessionRun{
		run("p", "id-first", "first",
			&trackio.Config{JSON: []byte(`{"lr": 1.0,"big":9007199254740993,"x":"Infinity","model":{"depth":50}, "a":null}`), CreatedAt: at(0)},
			&trackio.Metrics{Rows: []trackio.MetricsRow{
				{Timestamp: at(0), Step: 0, Metrics: []byte(`{"z":1,"loss":1.0,"img":{"_type":"trackio.image","file_path":"0/a.png","caption":null}}`), LogID: "l-0"},
				{Timestamp: at(1), Step: 1, Metrics: []byte(`{"loss":"NaN","n":9007199254740993}`), LogID: "l-1"},
				{Timestamp: at(2), Step: 2, Metrics: []byte(`{"loss":0.250,"t":{"_type":"trackio.table","_value":[{"i":{"_type":"trackio.image","file_path":"/elsewhere/b.png"}}]}}`)},
				{Timestamp: at(3), Step: 3, Metrics: []byte(`{"loss":2e-3,"notes":{"_type":"trackio.markdown","_value":"# Hi\nthere"}}`)},
				{Timestamp: at(4), Step: 3, Metrics: []byte(`{"loss":"-Infinity","hist":{"_type":"trackio.histogram","bins":[0,1,2],"values":[3,4]}}`)},
			}},
			&trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{
				{Timestamp: at(1), Metrics: []byte(`{"cpu":3,"gpu/0":50.0}`)},
				{Timestamp: at(2), Metrics: []byte(`{"cpu":"NaN"}`)},
			}},
			&trackio.Alerts{Rows: []trackio.AlertRow{
				{Timestamp: at(2), Title: "Spike", Text: &text, Level: "error", Step: &step, AlertID: "a1"},
				{Timestamp: at(3), Title: "fyi", Level: "info", AlertID: "a2"},
				{Timestamp: at(3), Title: "same time", Level: "warn", AlertID: "a3"},
			}},
			&trackio.Traces{Rows: []trackio.TraceRow{
				{ID: "t1", Timestamp: at(2), Step: 2, Key: "chat", TraceIndex: &index, Messages: []byte(`[{"role":"user","content":"hi"}]`), Metadata: []byte(`{"k":1}`), SearchText: "hi"},
			}},
			&trackio.Media{Path: "0/a.png", Size: 3, SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Body: strings.NewReader("abc")},
		),
		run("p", "id-old", "again", row(60)),
		run("p", "id-new", "again", row(120), &trackio.Alerts{Rows: []trackio.AlertRow{{Timestamp: at(3), Title: "of again", Level: "warn", AlertID: "a4"}}}),
		run("p", "id-slash", "team/größe π", row(30)),
		run("p", "id-quiet", "-quiet", &trackio.Config{JSON: []byte(`{}`), CreatedAt: at(180)}),
		run("p", "id-system", "only system", &trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{{Timestamp: at(240), Metrics: []byte(`{"cpu":1}`)}}}),
		run("p", "id-pending", "pending", &trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: at(10), Step: 1, Metrics: []byte(`{"loss":1}`), LogID: "l-9", SpaceID: "me/space"}}}),
		run("q", "id-old", "x", row(0)),
		run("live", "id-live", "busy", &trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: tomorrow, Step: 1, Metrics: []byte(`{"loss":1}`)}}}),
		run("live", "id-done", "done", row(1)),
	}
}
