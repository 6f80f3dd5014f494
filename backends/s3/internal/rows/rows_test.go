package rows

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// written returns the file of the rows, handed over in batches of that size.
func written[R Row](t testing.TB, rows []R, size int) ([]byte, Summary) {
	t.Helper()
	return grouped(t, rows, size, groupRows)
}

// grouped returns the file of the rows, with at most that many in a row group.
func grouped[R Row](t testing.TB, rows []R, size, group int) ([]byte, Summary) {
	t.Helper()
	var file bytes.Buffer
	w := NewWriter[R](&file)
	w.groupRows = group
	for len(rows) > 0 {
		n := min(size, len(rows))
		if err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if w.Size() != int64(file.Len()) {
		t.Fatalf("Size returned %d, and the file has %d bytes", w.Size(), file.Len())
	}
	return file.Bytes(), sum
}

// read returns all rows that a reading yields.
func read[R Row](file []byte, opts Options) (all []R, err error) {
	for rows, err := range Read[R](context.Background(), SourceOf(bytes.NewReader(file)), int64(len(file)), opts) {
		if err != nil {
			return all, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

func ptr[T any](v T) *T { return &v }

// odd are texts and payloads that storages trip over.
var odd = []string{
	"", "a", "null", "{}", `{"a": NaN}`, "\x00", "a\x00b", "\xff", "a\xffb\xfe", "\xed\xa0\x80", "é", "\U0001f600",
	"2026-01-31T12:00:00.123456+00:00", "\ufffd", "line\nline", string(bytes.Repeat([]byte{0xc3}, 300)),
}

func pick(i int) string { return odd[i%len(odd)] }

func oddMetrics(n int) []trackio.MetricsRow {
	rows := make([]trackio.MetricsRow, n)
	for i := range rows {
		rows[i] = trackio.MetricsRow{
			Timestamp: pick(i), Step: int64(i) * math.MaxInt32, Metrics: json.RawMessage(pick(i / 2)),
			LogID: pick(i / 3), SpaceID: pick(i / 5),
		}
	}
	rows[0].Step, rows[n-1].Step = math.MinInt64, math.MaxInt64
	return rows
}

func oddSystem(n int) []trackio.SystemMetricsRow {
	rows := make([]trackio.SystemMetricsRow, n)
	for i := range rows {
		rows[i] = trackio.SystemMetricsRow{
			Timestamp: pick(i), Metrics: json.RawMessage(pick(i / 2)), LogID: pick(i / 3), SpaceID: pick(i / 5),
		}
	}
	return rows
}

func oddAlerts(n int) []trackio.AlertRow {
	rows := make([]trackio.AlertRow, n)
	for i := range rows {
		rows[i] = trackio.AlertRow{Timestamp: pick(i), Title: pick(i / 2), Level: pick(i / 7), AlertID: pick(i / 3)}
		if i%3 > 0 {
			rows[i].Text = ptr(pick(i / 4))
		}
		if i%4 > 0 {
			rows[i].Step = ptr(int64(i%8 - 4))
		}
	}
	return rows
}

func oddTraces(n int) []trackio.TraceRow {
	rows := make([]trackio.TraceRow, n)
	for i := range rows {
		rows[i] = trackio.TraceRow{
			ID: pick(i), Timestamp: pick(i / 2), Step: int64(-i), Key: pick(i / 3), Messages: json.RawMessage(pick(i / 5)),
			Metadata: json.RawMessage(pick(i / 7)), SearchText: pick(i / 11), LogID: pick(i / 13), SpaceID: pick(i / 17),
		}
		if i%3 > 0 {
			rows[i].TraceIndex = ptr(int64(i % 5))
		}
	}
	return rows
}

func TestRoundTrip(t *testing.T) {
	t.Run("metrics", func(t *testing.T) { roundTrip(t, oddMetrics) })
	t.Run("system metrics", func(t *testing.T) { roundTrip(t, oddSystem) })
	t.Run("alerts", func(t *testing.T) { roundTrip(t, oddAlerts) })
	t.Run("traces", func(t *testing.T) { roundTrip(t, oddTraces) })
}

func roundTrip[R Row](t *testing.T, odd func(n int) []R) {
	for _, n := range []int{1, 2, 1000, groupRows + 3000} {
		for _, size := range []int{1, 700, n} {
			if size == 1 && n > 1000 {
				continue
			}
			t.Run(fmt.Sprintf("%d by %d", n, size), func(t *testing.T) {
				rows := odd(n)
				file, sum := written(t, rows, size)
				if sum.Rows != int64(n) {
					t.Errorf("the summary has %d rows", sum.Rows)
				}
				got, err := read[R](file, Options{Rows: int64(n)})
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != n {
					t.Fatalf("%d rows came back", len(got))
				}
				for i := range got {
					if !reflect.DeepEqual(got[i], rows[i]) {
						t.Fatalf("row %d came back as %+v, and was %+v", i, got[i], rows[i])
					}
				}
			})
		}
	}
}
