package trackio_test

import (
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// digestRecords is a run with every kind of record, and with every optional field
// present and absent.
func digestRecords() []trackio.Record {
	return []trackio.Record{
		&trackio.Header{RunInfo: trackio.RunInfo{RunRef: trackio.RunRef{Project: "p", ID: "1"}, Name: "run", Revision: "7"}},
		&trackio.Config{JSON: []byte(`{"lr":0.1}`), CreatedAt: "2026-01-01T00:00:00+00:00"},
		&trackio.Metrics{Rows: []trackio.MetricsRow{
			{Timestamp: "2026-01-01T00:00:00+00:00", Step: 1, Metrics: []byte(`{"loss":1.0}`), LogID: "l1", SpaceID: "s"},
			{Timestamp: "2026-01-01T00:00:01+00:00", Step: -2, Metrics: []byte(`{}`)},
		}},
		&trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{{Timestamp: "2026-01-01T00:00:00+00:00", Metrics: []byte(`{"gpu":1}`), LogID: "l2"}}},
		&trackio.Alerts{Rows: []trackio.AlertRow{
			{Timestamp: "2026-01-01T00:00:00+00:00", Title: "t", Text: new(""), Level: "warn", Step: new(int64(0)), AlertID: "a"},
			{Timestamp: "2026-01-01T00:00:01+00:00", Title: "t", Level: "warn"},
		}},
		&trackio.Traces{Rows: []trackio.TraceRow{{
			ID: "t1", Timestamp: "2026-01-01T00:00:00+00:00", Step: 3, Key: "k", TraceIndex: new(int64(4)),
			Messages: []byte(`[]`), Metadata: []byte(`{}`), SearchText: "s", LogID: "l3", SpaceID: "s",
		}}},
		&trackio.Media{Path: "0/a.png", Size: 3, SHA256: "ab"},
		&trackio.Media{Path: "1/gone.png", Missing: true},
	}
}

func sum(records []trackio.Record) string {
	d := trackio.NewDigest()
	for _, r := range records {
		d.Add(r)
	}
	return d.Sum()
}

// TestDigestGolden holds the digest in place: storages of all versions must agree
// on it. It was worked out by a second program, from the comment on Digest.
func TestDigestGolden(t *testing.T) {
	const want = "dfa5127d7de2c5c800cd8bb833b881c94d22974aa47d1060b93519deca0f1b01"
	d := trackio.NewDigest()
	for _, r := range digestRecords() {
		d.Add(r)
	}
	if got := d.Sum(); got != want {
		t.Errorf("the digest is %s, want %s", got, want)
	}
	if d.Counts != (trackio.Counts{Metrics: 2, SystemMetrics: 1, Alerts: 2, Traces: 1}) || d.Media != 2 || d.MediaBytes != 3 {
		t.Errorf("counts %+v, media %d of %d bytes", d.Counts, d.Media, d.MediaBytes)
	}
}

func TestDigestSees(t *testing.T) {
	for what, c := range map[string]struct {
		change func([]trackio.Record)
		same   bool
	}{
		"project":        {func(r []trackio.Record) { r[0].(*trackio.Header).Project = "q" }, true},
		"id":             {func(r []trackio.Record) { r[0].(*trackio.Header).ID = "2" }, true},
		"revision":       {func(r []trackio.Record) { r[0].(*trackio.Header).Revision = "8" }, true},
		"space id":       {func(r []trackio.Record) { r[2].(*trackio.Metrics).Rows[0].SpaceID = "" }, true},
		"name":           {func(r []trackio.Record) { r[0].(*trackio.Header).Name = "ran" }, false},
		"config":         {func(r []trackio.Record) { r[1].(*trackio.Config).JSON = []byte(`{"lr":0.10}`) }, false},
		"created at":     {func(r []trackio.Record) { r[1].(*trackio.Config).CreatedAt = "" }, false},
		"timestamp":      {func(r []trackio.Record) { r[2].(*trackio.Metrics).Rows[0].Timestamp = "2026-01-01T00:00:00Z" }, false},
		"step":           {func(r []trackio.Record) { r[2].(*trackio.Metrics).Rows[0].Step = 2 }, false},
		"number token":   {func(r []trackio.Record) { r[2].(*trackio.Metrics).Rows[0].Metrics = []byte(`{"loss":1}`) }, false},
		"log id":         {func(r []trackio.Record) { r[2].(*trackio.Metrics).Rows[0].LogID = "" }, false},
		"system metrics": {func(r []trackio.Record) { r[3].(*trackio.SystemMetrics).Rows[0].Metrics = []byte(`{}`) }, false},
		"no text":        {func(r []trackio.Record) { r[4].(*trackio.Alerts).Rows[0].Text = nil }, false},
		"no step":        {func(r []trackio.Record) { r[4].(*trackio.Alerts).Rows[0].Step = nil }, false},
		"alert id":       {func(r []trackio.Record) { r[4].(*trackio.Alerts).Rows[0].AlertID = "b" }, false},
		"trace index":    {func(r []trackio.Record) { r[5].(*trackio.Traces).Rows[0].TraceIndex = nil }, false},
		"search text":    {func(r []trackio.Record) { r[5].(*trackio.Traces).Rows[0].SearchText = "" }, false},
		"media sum":      {func(r []trackio.Record) { r[6].(*trackio.Media).SHA256 = "ac" }, false},
		"media path":     {func(r []trackio.Record) { r[6].(*trackio.Media).Path = "0/b.png" }, false},
		"missing":        {func(r []trackio.Record) { r[7].(*trackio.Media).Missing = false }, false},
		"order of rows": {func(r []trackio.Record) {
			rows := r[2].(*trackio.Metrics).Rows
			rows[0], rows[1] = rows[1], rows[0]
		}, false},
		"text that moves to the next field": {func(r []trackio.Record) {
			row := &r[4].(*trackio.Alerts).Rows[1]
			row.Title, row.Level = "tw", "arn"
		}, false},
	} {
		records := digestRecords()
		c.change(records)
		if got := sum(records) == sum(digestRecords()); got != c.same {
			t.Errorf("another %s: the digest is the same: %t, want %t", what, got, c.same)
		}
	}
	split := digestRecords()
	rows := split[2].(*trackio.Metrics).Rows
	split = append(split[:2:2], append([]trackio.Record{&trackio.Metrics{Rows: rows[:1]}, &trackio.Metrics{}, &trackio.Metrics{Rows: rows[1:]}}, split[3:]...)...)
	if sum(split) != sum(digestRecords()) {
		t.Error("other batches of the same rows have another digest")
	}
}
