package rows

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// wants says, without this package's numbers, whether a row is inside a window.
func wants(row trackio.MetricsRow, opts Options) bool {
	if s := opts.Steps; s.From != nil && row.Step < *s.From || s.To != nil && row.Step > *s.To {
		return false
	}
	at, err := trackio.ParseTime(row.Timestamp)
	if err != nil {
		return true
	}
	from, to := opts.Times.From, opts.Times.To
	return (from == nil || !at.Before(from.Truncate(time.Microsecond))) && (to == nil || !at.After(*to))
}

// offsets are timestamps whose order as text is not their order in time.
func offsets(n int) []trackio.MetricsRow {
	rows := make([]trackio.MetricsRow, n)
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for i := range rows {
		at = at.Add(time.Second)
		var stamp string
		switch i % 6 {
		case 0:
			stamp = trackio.FormatTime(at)
		case 1:
			stamp = trackio.FormatTime(at.In(time.FixedZone("", 9*3600)))
		case 2:
			stamp = trackio.FormatTime(at.In(time.FixedZone("", -8*3600)))
		case 3:
			stamp = at.Format("2006-01-02T15:04:05") // UTC, says the core
		case 4:
			stamp = at.Format("2006-01-02T15:04:05.999999999Z07:00")
		case 5:
			stamp = "soon"
		}
		rows[i] = trackio.MetricsRow{Timestamp: stamp, Step: int64(i / 3), Metrics: json.RawMessage(`{}`)}
	}
	return rows
}

func TestWindows(t *testing.T) {
	const group = 4000
	rows := offsets(5 * group)
	file, sum := grouped(t, rows, 700, group)
	rnd := rand.New(rand.NewPCG(5, 6))
	first := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	end := func() *time.Time {
		if rnd.IntN(4) == 0 {
			return nil
		}
		return ptr(first.Add(time.Duration(rnd.Int64N(int64(5*group+100) * int64(time.Second)))))
	}
	step := func() *int64 {
		if rnd.IntN(4) == 0 {
			return nil
		}
		return ptr(rnd.Int64N(5*group/3+100) - 50)
	}
	windows := []Options{
		{},
		{Times: trackio.Range[time.Time]{From: ptr(time.Unix(1<<60, 0))}},
		{Times: trackio.Range[time.Time]{To: ptr(time.Unix(-1<<60, 0))}},
		{Times: trackio.Range[time.Time]{From: ptr(time.Unix(-1<<60, 0)), To: ptr(time.Unix(1<<60, 0))}},
		{Times: trackio.Range[time.Time]{From: &time.Time{}}},
	}
	for range 60 {
		windows = append(windows, Options{
			Steps: trackio.Range[int64]{From: step(), To: step()}, Times: trackio.Range[time.Time]{From: end(), To: end()},
		})
	}
	for _, opts := range windows {
		var want []trackio.MetricsRow
		for _, row := range rows {
			if wants(row, opts) {
				want = append(want, row)
			}
		}
		opts.Rows, opts.Footer = sum.Rows, sum.Footer
		got, err := read[trackio.MetricsRow](file, opts)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the window %v to %v, %v to %v has %d rows, and %d come", opts.Steps.From, opts.Steps.To, opts.Times.From, opts.Times.To, len(want), len(got))
		}
	}
}

// TestRowsWithoutAStep have no step or no time, and are inside every window.
func TestRowsWithoutAStep(t *testing.T) {
	alerts := []trackio.AlertRow{{Title: "a", Step: ptr(int64(5))}, {Title: "b"}, {Title: "c", Timestamp: "2026-01-31T12:00:00", Step: ptr(int64(6))}}
	file, _ := written(t, alerts, 3)
	got, err := read[trackio.AlertRow](file, Options{
		Steps: trackio.Range[int64]{To: ptr(int64(5))}, Times: trackio.Range[time.Time]{From: ptr(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))},
	})
	if err != nil || !reflect.DeepEqual(got, alerts[:2]) {
		t.Errorf("the window brings %+v and %v", got, err)
	}
	system := []trackio.SystemMetricsRow{{Metrics: json.RawMessage(`{}`)}}
	file, _ = written(t, system, 1)
	got2, err := read[trackio.SystemMetricsRow](file, Options{Steps: trackio.Range[int64]{From: ptr(int64(5))}})
	if err != nil || len(got2) != 1 {
		t.Errorf("rows that have no step are left out by steps: %d, %v", len(got2), err)
	}
}

// counting counts the requests to a file, as an object store would.
type counting struct {
	file     []byte
	requests int
	bytes    int
	wait     chan struct{} // when set, requests after the first wait until the context ends
}

func (c *counting) ReadAt(ctx context.Context, p []byte, offset int64) error {
	c.requests++
	c.bytes += len(p)
	if c.wait != nil && c.requests > 2 {
		close(c.wait)
		<-ctx.Done()
		return ctx.Err()
	}
	if copy(p, c.file[offset:]) < len(p) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// hundredRows are the rows of a row group of hundred.
const hundredRows = 2000

// hundred is a file of a hundred row groups, with a step a row.
func hundred(t testing.TB) []byte {
	var file bytes.Buffer
	w := NewWriter[trackio.MetricsRow](&file)
	w.groupRows = hundredRows
	g := newTraining()
	for range 100 {
		if err := w.Write(g.rows(hundredRows)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestRequests(t *testing.T) {
	file := hundred(t)
	at := int64(57*hundredRows + 100)
	for _, tt := range []struct {
		what string
		opts Options
		most int
		rows int64
	}{
		{"a window of steps", Options{Steps: trackio.Range[int64]{From: ptr(at), To: ptr(at + 999)}}, 2, 1000},
		{"a window over the border of two row groups", Options{Steps: trackio.Range[int64]{From: ptr(int64(hundredRows - 9)), To: ptr(int64(hundredRows + 10))}}, 3, 20},
		{"nothing", Options{Steps: trackio.Range[int64]{To: ptr(int64(-1))}}, 1, 0},
		{"all", Options{}, 101, 100 * hundredRows},
	} {
		src := &counting{file: file}
		rows := int64(0)
		for batch, err := range Read[trackio.MetricsRow](context.Background(), src, int64(len(file)), tt.opts) {
			if err != nil {
				t.Fatal(err)
			}
			rows += int64(len(batch))
		}
		t.Logf("%s of %d bytes: %d requests, %d bytes", tt.what, len(file), src.requests, src.bytes)
		if rows != tt.rows || src.requests > tt.most {
			t.Errorf("%s: %d rows with %d requests, want %d with %d", tt.what, rows, src.requests, tt.rows, tt.most)
		}
	}
	short, _ := written(t, newTraining().rows(500), 500)
	src := &counting{file: short}
	for _, err := range Read[trackio.MetricsRow](context.Background(), src, int64(len(short)), Options{}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if src.requests != 1 {
		t.Errorf("a file of %d bytes takes %d requests", len(short), src.requests)
	}
}

// TestLongFooter has a footer longer than the part that is fetched first.
func TestLongFooter(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter[trackio.TraceRow](&file)
	w.groupRows = 1
	for range 100 {
		if err := w.Write([]trackio.TraceRow{{}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src := &counting{file: file.Bytes()}
	rows := 0
	for batch, err := range Read[trackio.TraceRow](context.Background(), src, int64(file.Len()), Options{Rows: 100}) {
		if err != nil {
			t.Fatal(err)
		}
		rows += len(batch)
	}
	if rows != 100 || src.requests != 102 { // the tail, the rest of the footer, and each row group
		t.Errorf("%d rows came with %d requests from %d bytes", rows, src.requests, file.Len())
	}
}

// TestLeaving leaves the loop while the next row group is on its way.
func TestLeaving(t *testing.T) {
	file := hundred(t)
	before := runtime.NumGoroutine()
	src := &counting{file: file, wait: make(chan struct{})}
	for _, err := range Read[trackio.MetricsRow](context.Background(), src, int64(len(file)), Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		<-src.wait
		break
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	src = &counting{file: file, wait: make(chan struct{})}
	var last error
	for _, err := range Read[trackio.MetricsRow](ctx, src, int64(len(file)), Options{}) {
		<-src.wait
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a reading that was cancelled ends with %v", last)
	}
	cancel()
}

func TestSummary(t *testing.T) {
	rows := []trackio.MetricsRow{
		{Timestamp: "2026-01-31T12:00:00+09:00", Step: -7, Metrics: json.RawMessage(`{"b":1,"a":{"c":2}}`)},
		{Timestamp: "2026-01-31T11:00:00+00:00", Step: -9, Metrics: json.RawMessage(`{"d":NaN}`), SpaceID: "me/space"},
		{Timestamp: "later", Step: -8, Metrics: json.RawMessage(`{}`)},
	}
	_, sum := written(t, rows, 2)
	if len(sum.Footer) != 32 {
		t.Errorf("the checksum of the footer is %q", sum.Footer)
	}
	sum.Footer = ""
	want := Summary{
		Rows: 3, Undelivered: 1, LastStep: ptr(int64(-7)), First: "2026-01-31T11:00:00+00:00", Last: "later",
		Newest: time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC), Names: []string{"a", "b", "d"},
	}
	sum.Newest = sum.Newest.UTC()
	if !reflect.DeepEqual(sum, want) {
		t.Errorf("the summary is %+v, want %+v", sum, want)
	}
	file, sum := written(t, []trackio.AlertRow(nil), 1)
	if sum.Rows != 0 || sum.LastStep != nil || sum.First != "" || !sum.Newest.IsZero() || len(sum.Names) != 0 {
		t.Errorf("the summary of no rows is %+v", sum)
	}
	if got, err := read[trackio.AlertRow](file, Options{Footer: sum.Footer}); err != nil || len(got) != 0 {
		t.Errorf("a file of no rows brings %d and %v", len(got), err)
	}
}

// TestFooterChecksum turns over every byte of a footer: with its checksum, no
// damage is missed.
func TestFooterChecksum(t *testing.T) {
	file, sum := written(t, oddMetrics(20), 20)
	length := int(binary.LittleEndian.Uint32(file[len(file)-trailer:]))
	for at := len(file) - 1; at >= len(file)-trailer-length; at-- {
		file[at] ^= 4
		if _, err := read[trackio.MetricsRow](file, Options{Footer: sum.Footer}); err == nil {
			t.Errorf("byte %d of %d turned over was not seen", at, len(file))
		}
		file[at] ^= 4
	}
}
