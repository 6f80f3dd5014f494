package backendtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// run is a run in plain values: what a check imports, and what it expects back.
type run struct {
	name    string
	config  *trackio.Config
	metrics []trackio.MetricsRow
	system  []trackio.SystemMetricsRow
	alerts  []trackio.AlertRow
	traces  []trackio.TraceRow
	media   []file
}

// file is one of the media of a run.
type file struct {
	path    string
	body    []byte
	size    int64
	sha     string
	missing bool
}

func newFile(path string, body []byte) file {
	sum := sha256.Sum256(body)
	return file{path: path, body: body, size: int64(len(body)), sha: hex.EncodeToString(sum[:])}
}

func missingFile(path string) file { return file{path: path, missing: true} }

// epoch is when all runs of the checks began: long ago, so that none is live.
var epoch = time.Date(2026, time.January, 1, 10, 0, 0, 0, time.UTC)

// stamp returns the timestamp of the i-th second.
func stamp(i int) string { return trackio.FormatTime(epoch.Add(time.Duration(i) * time.Second)) }

func metricsRow(key string, i int, payload string) trackio.MetricsRow {
	return trackio.MetricsRow{Timestamp: stamp(i), Step: int64(i), Metrics: json.RawMessage(payload), LogID: fmt.Sprintf("%s-m%d", key, i)}
}

// image returns a payload that refers to a file.
func image(path string) string {
	return fmt.Sprintf(`{"picture":{"_type":"trackio.image","file_path":%s,"caption":null}}`, quote(path))
}

// quote returns a text as a JSON string without needless escapes.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// small returns a run of one row. The key makes its log ids unique.
func small(key, name string) run {
	return run{name: name, metrics: []trackio.MetricsRow{metricsRow(key, 0, `{"loss":0.5}`)}}
}

// withMedia returns a run with a row for each file.
func withMedia(key, name string, files ...file) run {
	r := run{name: name}
	for i, f := range files {
		r.metrics = append(r.metrics, metricsRow(key, i, image(f.path)))
		r.media = append(r.media, f)
	}
	slices.SortFunc(r.media, func(x, y file) int { return strings.Compare(x.path, y.path) })
	return r
}

// full returns a run that uses whatever a stream can hold.
func full(key, name string) run {
	id := func(kind string, i int) string { return fmt.Sprintf("%s-%s%d", key, kind, i) }
	return run{
		name: name,
		config: &trackio.Config{
			JSON:      json.RawMessage(`{"lr":0.001,"layers":[1,2.0,3e0],"note":"a\/b","seed":9007199254740993,"_Created":"2025-12-31T23:00:00+00:00"}`),
			CreatedAt: "2025-12-31T23:00:00+00:00",
		},
		metrics: []trackio.MetricsRow{
			metricsRow(key, 0, `{"loss":1,"acc":1.0,"big":9007199254740993,"nan":"NaN","inf":"-Infinity"}`),
			metricsRow(key, 1, `{"z":{"b":1,"a":2},"loss":0.50}`),
			{Timestamp: stamp(1), Step: 1, Metrics: json.RawMessage(`{"same":"stamp","no":"log id"}`)},
			{Timestamp: stamp(1), Step: 1, Metrics: json.RawMessage(`{"same":"stamp again","no":"log id"}`)},
			{Timestamp: stamp(2), Step: 2, Metrics: json.RawMessage(`{"pending":true}`), LogID: id("m", 2), SpaceID: "someone/space"},
			metricsRow(key, 3, image("3/a.png")),
			metricsRow(key, 4, `{"table":{"_type":"trackio.table","_value":[{"x":{"_type":"trackio.audio","file_path":"4/b.wav"}},{"x":null}]}}`),
			metricsRow(key, 40, `{"gone":{"_type":"trackio.video","file_path":"40/gone.mp4"}}`),
		},
		system: []trackio.SystemMetricsRow{
			{Timestamp: stamp(0), Metrics: json.RawMessage(`{"gpu":0,"temp":61.0}`), LogID: id("s", 0)},
			{Timestamp: stamp(5), Metrics: json.RawMessage(`{"gpu":1}`)},
			{Timestamp: stamp(6), Metrics: json.RawMessage(`{"cpu":0.25}`), LogID: id("s", 2), SpaceID: "someone/space"},
		},
		alerts: []trackio.AlertRow{
			{Timestamp: stamp(1), Title: "first", Text: new("a text\nof two lines"), Level: "warn", Step: new(int64(1)), AlertID: id("a", 0)},
			{Timestamp: stamp(2), Title: "no text", Level: "info", AlertID: id("a", 1)},
			{Timestamp: stamp(3), Title: "", Text: new(""), Level: "error", Step: new(int64(0))},
		},
		traces: []trackio.TraceRow{
			{
				ID: id("t", 0), Timestamp: stamp(1), Step: 1, Key: "chat", TraceIndex: new(int64(0)),
				Messages: json.RawMessage(`[{"role":"user","content":"héllo"}]`), Metadata: json.RawMessage(`{"k":1.0}`),
				SearchText: "héllo", LogID: id("tl", 0), SpaceID: "someone/space",
			},
			{
				ID: id("t", 1), Timestamp: stamp(2), Step: 2, Key: "chat",
				Messages: json.RawMessage(`[{"role":"tool","content":[{"_type":"trackio.image","file_path":"2/in trace.png"}]}]`),
				Metadata: json.RawMessage(`{}`),
			},
		},
		media: []file{
			newFile("2/in trace.png", []byte("the picture of a trace")),
			newFile("3/a.png", []byte("\x89PNG\r\n\x1a\n\x00\xff")),
			newFile("4/b.wav", nil),
			missingFile("40/gone.mp4"),
		},
	}
}

// createdAt returns the created_at that follows from the documentation.
func (r run) createdAt() time.Time {
	var stamps []string
	switch {
	case len(r.metrics) > 0:
		stamps = append(stamps, r.metrics[0].Timestamp)
	case len(r.system)+len(r.alerts)+len(r.traces) > 0:
		for _, row := range r.system {
			stamps = append(stamps, row.Timestamp)
		}
		for _, row := range r.alerts {
			stamps = append(stamps, row.Timestamp)
		}
		for _, row := range r.traces {
			stamps = append(stamps, row.Timestamp)
		}
	case r.config != nil:
		stamps = append(stamps, r.config.CreatedAt)
	}
	if len(stamps) == 0 {
		return time.Time{}
	}
	at, err := trackio.ParseTime(slices.Min(stamps))
	if err != nil {
		return time.Time{}
	}
	return at
}

// records returns the run as a stream in batches of three rows. Its header names
// another run, which an importer ignores.
func (r run) records() iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for _, record := range r.list(3) {
			if !yield(record, nil) {
				return
			}
		}
	}
}

// list returns the run's records in batches of that many rows. They are copies:
// a backend that changes what it is given does not change what is expected.
func (r run) list(batch int) []trackio.Record {
	all := []trackio.Record{&trackio.Header{
		RunInfo: trackio.RunInfo{
			RunRef: trackio.RunRef{Project: "not-this-project", ID: "not this id"},
			Name:   r.name, CreatedAt: r.createdAt(), Revision: "not this revision",
		},
		Kinds: trackio.AllKinds,
	}}
	if r.config != nil {
		all = append(all, &trackio.Config{JSON: bytes.Clone(r.config.JSON), CreatedAt: r.config.CreatedAt})
	}
	for rows := range slices.Chunk(r.metrics, batch) {
		rows = slices.Clone(rows)
		for i := range rows {
			rows[i].Metrics = bytes.Clone(rows[i].Metrics)
		}
		all = append(all, &trackio.Metrics{Rows: rows})
	}
	for rows := range slices.Chunk(r.system, batch) {
		rows = slices.Clone(rows)
		for i := range rows {
			rows[i].Metrics = bytes.Clone(rows[i].Metrics)
		}
		all = append(all, &trackio.SystemMetrics{Rows: rows})
	}
	for rows := range slices.Chunk(r.alerts, batch) {
		all = append(all, &trackio.Alerts{Rows: slices.Clone(rows)})
	}
	for rows := range slices.Chunk(r.traces, batch) {
		rows = slices.Clone(rows)
		for i := range rows {
			rows[i].Messages, rows[i].Metadata = bytes.Clone(rows[i].Messages), bytes.Clone(rows[i].Metadata)
		}
		all = append(all, &trackio.Traces{Rows: rows})
	}
	for _, f := range r.media {
		all = append(all, f.record())
	}
	return all
}

func (f file) record() *trackio.Media {
	if f.missing {
		return &trackio.Media{Path: f.path, Missing: true}
	}
	return &trackio.Media{Path: f.path, Size: f.size, SHA256: f.sha, Body: bytes.NewReader(f.body)}
}

// digest returns the content digest of the run.
func (r run) digest() string {
	d := trackio.NewDigest()
	for _, record := range r.list(1000) {
		d.Add(record)
	}
	return d.Sum()
}

// named returns the run with another name.
func (r run) named(name string) run {
	r.name = name
	return r
}

// delivered returns the run without space ids, so that it may be moved without
// force.
func (r run) delivered() run {
	r.metrics, r.system, r.traces = slices.Clone(r.metrics), slices.Clone(r.system), slices.Clone(r.traces)
	for i := range r.metrics {
		r.metrics[i].SpaceID = ""
	}
	for i := range r.system {
		r.system[i].SpaceID = ""
	}
	for i := range r.traces {
		r.traces[i].SpaceID = ""
	}
	return r
}
