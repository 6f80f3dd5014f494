// Command sample writes files of rows into a directory, and beside each one, in
// JSON, what a reader must find in it. Tests read them with Parquet readers that
// share no code with the writer.
//
//	go run ./backends/s3/internal/rows/sample DIRECTORY
//
// Beside NAME.parquet stands NAME.jsonl: a line for each row, an object with a
// member for each column of the row but "exact". Numbers are numbers, "time" is in
// microseconds since 1970, and texts are the base64 of their bytes.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/trackio-go/trackio/backends/s3/internal/rows"
	"github.com/trackio-go/trackio/trackio"
)

// object is a row as it is told to the readers; nil is null.
type object map[string]any

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sample DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error { return save(filepath.Join(dir, "metrics"), 40_000, metrics, tellMetrics) },
		func() error { return save(filepath.Join(dir, "system_metrics"), 2000, system, tellSystem) },
		func() error { return save(filepath.Join(dir, "alerts"), 2000, alert, tellAlert) },
		func() error { return save(filepath.Join(dir, "traces"), 2000, trace, tellTrace) },
		func() error { return save(filepath.Join(dir, "large"), 20, large, tellMetrics) },
		func() error { return save(filepath.Join(dir, "none"), 0, metrics, tellMetrics) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// save writes n rows and what is to be found in them.
func save[R rows.Row](path string, n int, row func(i int) R, tell func(R) object) error {
	file, err := os.Create(path + ".parquet")
	if err != nil {
		return err
	}
	defer file.Close()
	told, err := os.Create(path + ".jsonl")
	if err != nil {
		return err
	}
	defer told.Close()
	lines := bufio.NewWriter(told)
	encoder := json.NewEncoder(lines)
	w := rows.NewWriter[R](file)
	for i := range n {
		r := row(i)
		if err := w.Write([]R{r}); err != nil {
			return err
		}
		if err := encoder.Encode(tell(r)); err != nil {
			return err
		}
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	if err := told.Close(); err != nil {
		return err
	}
	return file.Close()
}

// texts are some that readers trip over.
var texts = [...]string{
	"", "a", "null", "\x00", "a\x00b", "\xff", "a\xffb\xfe", "\xed\xa0\x80", "é", "\U0001f600", "line\nline", "\ufffd",
}

var stamps = [...]string{
	"2026-01-31T12:00:00.123456+00:00", "2026-01-31T12:00:00+09:00", "2026-01-31T12:00:00", "0001-01-01T00:00:00+00:00",
	"9999-12-31T23:59:59.999999+00:00", "1969-12-31T23:59:59.999999Z", "soon", "", "\xff",
}

func pick(i int) string  { return texts[i%len(texts)] }
func stamp(i int) string { return stamps[i%len(stamps)] }

func metrics(i int) trackio.MetricsRow {
	r := trackio.MetricsRow{
		Timestamp: stamp(i), Step: int64(i), LogID: pick(i / 2), SpaceID: pick(i / 3),
		Metrics: fmt.Appendf(nil, `{"loss": %g, "step": %d}`, 1/float64(i+1), i),
	}
	switch {
	case i == 0:
		r.Step = math.MinInt64
	case i == 1:
		r.Step = math.MaxInt64
	case i%10 == 0:
		r.Metrics = json.RawMessage(pick(i / 10))
	}
	return r
}

func large(i int) trackio.MetricsRow {
	filler := make([]byte, 1<<20)
	for j := range filler {
		filler[j] = byte(' ' + (i*7919+j*j/13+j)%90)
	}
	return trackio.MetricsRow{Timestamp: stamp(i), Step: int64(i), Metrics: filler}
}

func system(i int) trackio.SystemMetricsRow {
	return trackio.SystemMetricsRow{Timestamp: stamp(i), Metrics: json.RawMessage(pick(i / 2)), LogID: pick(i / 3), SpaceID: pick(i / 5)}
}

func alert(i int) trackio.AlertRow {
	r := trackio.AlertRow{Timestamp: stamp(i), Title: pick(i / 2), Level: pick(i / 3), AlertID: pick(i / 5)}
	if i%3 > 0 {
		s := pick(i / 4)
		r.Text = &s
	}
	if i%4 > 0 {
		n := int64(-i)
		r.Step = &n
	}
	return r
}

func trace(i int) trackio.TraceRow {
	r := trackio.TraceRow{
		ID: pick(i), Timestamp: stamp(i), Step: int64(i), Key: pick(i / 2), Messages: json.RawMessage(pick(i / 3)),
		Metadata: json.RawMessage(pick(i / 5)), SearchText: pick(i / 7), LogID: pick(i / 11), SpaceID: pick(i / 13),
	}
	if i%3 > 0 {
		n := int64(i % 5)
		r.TraceIndex = &n
	}
	return r
}

func tellMetrics(r trackio.MetricsRow) object {
	return object{
		"timestamp": []byte(r.Timestamp), "time": micros(r.Timestamp), "step": r.Step, "metrics": text(r.Metrics),
		"log_id": filled(r.LogID), "space_id": filled(r.SpaceID),
	}
}

func tellSystem(r trackio.SystemMetricsRow) object {
	return object{
		"timestamp": []byte(r.Timestamp), "time": micros(r.Timestamp), "metrics": text(r.Metrics),
		"log_id": filled(r.LogID), "space_id": filled(r.SpaceID),
	}
}

func tellAlert(r trackio.AlertRow) object {
	o := object{
		"timestamp": []byte(r.Timestamp), "time": micros(r.Timestamp), "title": []byte(r.Title), "text": nil,
		"level": []byte(r.Level), "step": r.Step, "alert_id": filled(r.AlertID),
	}
	if r.Text != nil {
		o["text"] = []byte(*r.Text)
	}
	return o
}

func tellTrace(r trackio.TraceRow) object {
	return object{
		"id": []byte(r.ID), "timestamp": []byte(r.Timestamp), "time": micros(r.Timestamp), "step": r.Step, "key": []byte(r.Key),
		"trace_index": r.TraceIndex, "messages": text(r.Messages), "metadata": text(r.Metadata),
		"search_text": []byte(r.SearchText), "log_id": filled(r.LogID), "space_id": filled(r.SpaceID),
	}
}

// text is a payload, which is not to be told as JSON.
func text(payload json.RawMessage) []byte { return append([]byte{}, payload...) }

// filled is a text that is null when it is empty.
func filled(s string) any {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func micros(timestamp string) any {
	at, err := trackio.ParseTime(timestamp)
	if err != nil {
		return nil
	}
	return at.UnixMicro()
}
