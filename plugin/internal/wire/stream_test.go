package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

func ptr[T any](v T) *T { return &v }

// wholeRun has every kind of record, every field set, and media of all sorts.
func wholeRun() []trackio.Record {
	return []trackio.Record{
		&trackio.Header{
			RunInfo: trackio.RunInfo{
				RunRef: trackio.RunRef{Project: "p", ID: "id"}, Name: "a/b ä", Revision: "7",
				CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.FixedZone("", 2*3600)),
				Config:    json.RawMessage(`{"lr":1e-3}`), LastStep: ptr(int64(0)), Counts: &trackio.Counts{Metrics: 2, Pending: 1},
				UpdatedAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
			},
			Kinds: trackio.AllKinds,
		},
		&trackio.Config{JSON: json.RawMessage(`{"lr":1e-3}`), CreatedAt: "2026-01-02T03:04:05"},
		&trackio.Metrics{Rows: []trackio.MetricsRow{
			{Timestamp: "t1", Step: -1, Metrics: json.RawMessage(`{"a": 1.0}`), LogID: "l1", SpaceID: "s1"},
			{Timestamp: "t2", Step: 1 << 60, Metrics: json.RawMessage(`{}`)},
		}},
		&trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{
			{Timestamp: "t", Metrics: json.RawMessage(`{"gpu":1}`), LogID: "l", SpaceID: "s"},
		}},
		&trackio.Alerts{Rows: []trackio.AlertRow{
			{Timestamp: "t", Title: "x", Text: ptr(""), Level: "warn", Step: ptr(int64(3)), AlertID: "i"},
			{Timestamp: "t", Title: "y", Level: "info"},
		}},
		&trackio.Traces{Rows: []trackio.TraceRow{
			{ID: "2", Messages: json.RawMessage(`[1]`), Metadata: json.RawMessage(`null`)},
			{
				ID: "1", Timestamp: "t", Step: 1, Key: "k", TraceIndex: ptr(int64(0)), Messages: json.RawMessage(`[]`),
				Metadata: json.RawMessage(`{}`), SearchText: "s", LogID: "l", SpaceID: "sp",
			},
		}},
		&trackio.Media{Path: "a.png", Size: 5, Body: strings.NewReader("12345")},
		&trackio.Media{Path: "b.png", Missing: true},
		&trackio.Media{Path: "c.png", Size: 0, Body: strings.NewReader("")},
		&trackio.Media{Path: "d.png", Size: 9, SHA256: strings.Repeat("ab", 32)},
	}
}

// withoutBodies is what take keeps of wholeRun.
func withoutBodies() []trackio.Record {
	records := wholeRun()
	for _, r := range records {
		if m, ok := r.(*trackio.Media); ok {
			m.Body = nil
		}
	}
	return records
}

func sameRecords(t *testing.T, got, want []trackio.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range got {
		if g, ok := got[i].(*trackio.Header); ok {
			w := want[i].(*trackio.Header)
			if !g.CreatedAt.Equal(w.CreatedAt) || trackio.FormatTime(g.CreatedAt) != trackio.FormatTime(w.CreatedAt) {
				t.Errorf("CreatedAt %v, want %v", g.CreatedAt, w.CreatedAt)
			}
			g.CreatedAt = w.CreatedAt
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestExportCarriesEveryRecord(t *testing.T) {
	var asked trackio.ExportOptions
	client := connect(t, NewServer(&stub{exportRun: func(_ context.Context, _ trackio.RunRef, o trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
		asked = o
		return sequence(nil, wholeRun()...)
	}}))
	at := time.Date(2026, 1, 1, 0, 0, 0, 5000, time.UTC)
	opts := trackio.ExportOptions{
		Kinds: trackio.KindMetrics | trackio.KindMedia, Steps: trackio.Range[int64]{To: ptr(int64(0))},
		Times: trackio.Range[time.Time]{From: &at}, NoBodies: true,
	}
	got, err := take(client.ExportRun(t.Context(), trackio.RunRef{Project: "p", ID: "id"}, opts))
	if err != nil {
		t.Fatal(err)
	}
	sameRecords(t, got.records, withoutBodies())
	if string(got.bodies["a.png"]) != "12345" || len(got.bodies) != 2 {
		t.Errorf("bodies are %q", got.bodies)
	}
	if !reflect.DeepEqual(asked, opts) {
		t.Errorf("the backend was asked for %+v, not %+v", asked, opts)
	}
}

func TestImportCarriesEveryRecord(t *testing.T) {
	var got taken
	client := connect(t, NewServer(&stub{importRun: func(_ context.Context, ref trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
		var err error
		got, err = take(r)
		return trackio.RunInfo{RunRef: ref, Revision: "new"}, err
	}}))
	ref := trackio.RunRef{Project: "q", ID: "x"}
	want := withoutBodies()[:len(wholeRun())-1] // but for the file without bytes
	info, err := client.ImportRun(t.Context(), ref, sequence(nil, wholeRun()[:len(want)]...))
	if err != nil {
		t.Fatal(err)
	}
	if info.RunRef != ref || info.Revision != "new" {
		t.Errorf("got %+v", info)
	}
	sameRecords(t, got.records, want)
	if _, err := client.ImportRun(t.Context(), ref, sequence(nil, wholeRun()...)); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("a file without bytes: %v", err)
	}
}

func TestRowsAreGatheredAndSplit(t *testing.T) {
	payload := json.RawMessage(`{"x":"` + strings.Repeat("y", 1000) + `"}`)
	rows := func(yield func(trackio.Record, error) bool) {
		if !yield(&trackio.Header{}, nil) {
			return
		}
		reused := bytes.Clone(payload) // a source may use its buffer again
		for i := range 2000 {
			copy(reused[6:], fmt.Sprintf("%04d", i))
			if !yield(&trackio.Metrics{Rows: []trackio.MetricsRow{{Step: int64(i), Metrics: reused}}}, nil) {
				return
			}
		}
	}
	client := connect(t, NewServer(&stub{exportRun: func(context.Context, trackio.RunRef, trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
		return rows
	}}))
	batches, next := 0, 0
	for r, err := range client.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		m, ok := r.(*trackio.Metrics)
		if !ok {
			continue
		}
		batches++
		for _, row := range m.Rows {
			if want := fmt.Sprintf("%04d", next); row.Step != int64(next) || string(row.Metrics[6:10]) != want {
				t.Fatalf("row %d is step %d with payload %.12s", next, row.Step, row.Metrics)
			}
			next++
		}
	}
	if next != 2000 || batches < 5 || batches > 20 {
		t.Errorf("2000 rows of 1 KiB came as %d rows in %d batches", next, batches)
	}
}

func TestOneHugeRowPasses(t *testing.T) {
	payload := json.RawMessage(`"` + strings.Repeat("z", 20<<20) + `"`)
	run := []trackio.Record{&trackio.Header{}, &trackio.Metrics{Rows: []trackio.MetricsRow{{Metrics: payload}}}}
	client := connect(t, NewServer(&stub{
		exportRun: func(context.Context, trackio.RunRef, trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
			return sequence(nil, run...)
		},
		importRun: func(_ context.Context, _ trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
			got, err := take(r)
			if err == nil && len(got.records[1].(*trackio.Metrics).Rows[0].Metrics) != len(payload) {
				err = errors.New("the row was cut")
			}
			return trackio.RunInfo{}, err
		},
	}))
	got, err := take(client.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{}))
	if err != nil || !bytes.Equal(got.records[1].(*trackio.Metrics).Rows[0].Metrics, payload) {
		t.Errorf("export: %v", err)
	}
	if _, err := client.ImportRun(t.Context(), trackio.RunRef{}, sequence(nil, run...)); err != nil {
		t.Errorf("import: %v", err)
	}
	tooLarge := make(json.RawMessage, maxRow+1)
	_, err = client.ImportRun(t.Context(), trackio.RunRef{}, sequence(nil, run[0], &trackio.Metrics{Rows: []trackio.MetricsRow{{Metrics: tooLarge}}}))
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a row over the limit: %v", err)
	}
}

func TestMemoryDoesNotGrowWithMedia(t *testing.T) {
	const size = 200 << 20
	var peak uint64
	watch := func() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	run := func() []trackio.Record {
		return []trackio.Record{&trackio.Header{}, &trackio.Media{Path: "big.bin", Size: size, Body: io.LimitReader(zeros{}, size)}}
	}
	drain := func(records iter.Seq2[trackio.Record, error]) (int64, error) {
		total, chunk := int64(0), make([]byte, 1<<20)
		for r, err := range records {
			if err != nil {
				return total, err
			}
			if m, ok := r.(*trackio.Media); ok {
				for {
					n, err := io.ReadFull(m.Body, chunk)
					total += int64(n)
					if total%(32<<20) == 0 {
						watch()
					}
					if err != nil {
						break
					}
				}
			}
		}
		return total, nil
	}
	client := connect(t, NewServer(&stub{
		exportRun: func(context.Context, trackio.RunRef, trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
			return sequence(nil, run()...)
		},
		importRun: func(_ context.Context, _ trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
			n, err := drain(r)
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes came", n)
			}
			return trackio.RunInfo{}, err
		},
	}))
	watch()
	before := peak
	n, err := drain(client.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{}))
	if err != nil || n != size {
		t.Fatalf("export: %d bytes, %v", n, err)
	}
	if _, err := client.ImportRun(t.Context(), trackio.RunRef{}, sequence(nil, run()...)); err != nil {
		t.Fatalf("import: %v", err)
	}
	if grown := int64(peak) - int64(before); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB while 200 MiB of media passed", grown>>20)
	}
}

// frames serves an export of fixed frames and reads an import as wire does.
type frames struct {
	backendv1.UnimplementedBackendServiceServer
	export []*backendv1.Frame
}

func (f *frames) ExportRun(_ *backendv1.ExportRunRequest, stream grpc.ServerStreamingServer[backendv1.ExportRunResponse]) error {
	for _, frame := range f.export {
		if err := stream.Send(&backendv1.ExportRunResponse{Frame: frame}); err != nil {
			return err
		}
	}
	return nil
}

// record returns the frames of a run.
func record(t *testing.T, records ...trackio.Record) []*backendv1.Frame {
	t.Helper()
	var list []*backendv1.Frame
	err := writeFrames(sequence(nil, records...), func(f *backendv1.Frame) error {
		if data, ok := f.GetFrame().(*backendv1.Frame_MediaData); ok {
			f = &backendv1.Frame{Frame: &backendv1.Frame_MediaData{MediaData: &backendv1.MediaData{Data: bytes.Clone(data.MediaData.Data)}}}
		}
		list = append(list, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDamagedStreamsAreNeverShort(t *testing.T) {
	run := func() []*backendv1.Frame {
		return record(t, &trackio.Header{},
			&trackio.Metrics{Rows: []trackio.MetricsRow{{Metrics: json.RawMessage("{}")}, {Metrics: json.RawMessage("{}")}}},
			&trackio.Media{Path: "a", Size: 3, Body: strings.NewReader("abc")})
	} // header, metrics, media begin, data, end, end
	without := func(i int) []*backendv1.Frame {
		f := run()
		return append(f[:i:i], f[i+1:]...)
	}
	changed := func(i int, change func(*backendv1.Frame)) []*backendv1.Frame {
		f := run()
		change(f[i])
		return f
	}
	for name, test := range map[string]struct {
		frames []*backendv1.Frame
		kind   error
	}{
		"no end frame":        {without(5), trackio.ErrDataLoss},
		"nothing at all":      {nil, trackio.ErrDataLoss},
		"no rows":             {without(1), trackio.ErrDataLoss},
		"no data":             {without(3), trackio.ErrDataLoss},
		"no media end":        {without(4), trackio.ErrDataLoss},
		"cut in media":        {run()[:4], trackio.ErrDataLoss},
		"unknown frame":       {changed(1, func(f *backendv1.Frame) { f.Frame = nil }), errors.ErrUnsupported},
		"unknown media frame": {changed(3, func(f *backendv1.Frame) { f.Frame = nil }), errors.ErrUnsupported},
		"one row fewer": {changed(1, func(f *backendv1.Frame) {
			f.GetMetrics().Rows = f.GetMetrics().Rows[:1]
		}), trackio.ErrDataLoss},
		"one row changed": {changed(1, func(f *backendv1.Frame) { f.GetMetrics().Rows[0].Step = 9 }), trackio.ErrDataLoss},
		"media changed":   {changed(3, func(f *backendv1.Frame) { f.GetMediaData().Data[0] = 'x' }), trackio.ErrDataLoss},
		"media too long":  {changed(3, func(f *backendv1.Frame) { f.GetMediaData().Data = []byte("abcd") }), trackio.ErrDataLoss},
		"wrong digest":    {changed(5, func(f *backendv1.Frame) { f.GetEnd().Digest = strings.Repeat("0", 64) }), trackio.ErrDataLoss},
		"not JSON": {record(t, &trackio.Header{}, &trackio.Metrics{Rows: []trackio.MetricsRow{{Metrics: []byte("{")}}}),
			trackio.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, &frames{export: test.frames})
			_, err := take(client.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{}))
			if !errors.Is(err, test.kind) {
				t.Errorf("export with bodies read: %v", err)
			}
			// A consumer that does not read the bodies must find out as well.
			err = nil
			for _, e := range client.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{}) {
				err = e
			}
			if !errors.Is(err, test.kind) {
				t.Errorf("export without reading bodies: %v", err)
			}
			if err := importFrames(t, test.frames); !errors.Is(err, test.kind) {
				t.Errorf("import: %v", err)
			}
		})
	}
	if err := importFrames(t, run()); err != nil {
		t.Errorf("the whole stream was refused: %v", err)
	}
}

// importFrames sends frames to an importer that commits what reaches its end,
// and fails the test when it commits what the host is told did not arrive.
func importFrames(t *testing.T, list []*backendv1.Frame) error {
	t.Helper()
	committed := false
	client := connect(t, NewServer(&stub{importRun: func(_ context.Context, ref trackio.RunRef, r iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
		if _, err := take(r); err != nil {
			return trackio.RunInfo{}, err
		}
		committed = true
		return trackio.RunInfo{RunRef: ref}, nil
	}}))
	stream, err := client.RPC.ImportRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	requests := []*backendv1.ImportRunRequest{{Request: &backendv1.ImportRunRequest_Ref{Ref: &backendv1.RunRef{}}}}
	for _, f := range list {
		requests = append(requests, &backendv1.ImportRunRequest{Request: &backendv1.ImportRunRequest_Frame{Frame: f}})
	}
	for _, request := range requests {
		if stream.Send(request) != nil {
			break // the importer has failed already: CloseAndRecv says how
		}
	}
	_, err = stream.CloseAndRecv()
	if committed != (err == nil) {
		t.Errorf("committed is %v, but the host got %v", committed, err)
	}
	return decodeError(t.Context(), err)
}
