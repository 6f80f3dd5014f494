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
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// small is a file with two row groups of several pages.
func small(t testing.TB) ([]byte, []trackio.MetricsRow) {
	rows := newTraining().rows(40)
	for i := range rows {
		if i%8 == 0 { // larger than a row group may be together
			filler := make([]byte, groupBytes/4)
			for j := range filler {
				filler[j] = byte('a' + (j*j/7+i)%26)
			}
			rows[i].Metrics = json.RawMessage(`{"t":"` + string(filler) + `"}`)
		}
	}
	file, _ := written(t, rows, len(rows))
	return file, rows
}

func isDataLoss(err error) bool {
	return errors.Is(err, trackio.ErrDataLoss) && trackio.HintOf(err) != ""
}

func TestCutFiles(t *testing.T) {
	file, rows := small(t)
	got, err := read[trackio.MetricsRow](file, Options{Rows: 40})
	if err != nil || len(got) != len(rows) {
		t.Fatalf("the whole file brings %d rows and %v", len(got), err)
	}
	cuts := []int{0, 1, 3, 4, 5, 11, 12, 13, len(file) / 3, len(file) / 2}
	for back := 1; back < 3000; back += 7 {
		cuts = append(cuts, len(file)-back)
	}
	for _, cut := range cuts {
		// A shorter file of which the size is known, and one that is shorter than
		// it should be.
		if _, err := read[trackio.MetricsRow](file[:cut], Options{}); !isDataLoss(err) {
			t.Fatalf("a file cut to %d of %d bytes brings %v", cut, len(file), err)
		}
		for _, err := range Read[trackio.MetricsRow](context.Background(), SourceOf(bytes.NewReader(file[:cut])), int64(len(file)), Options{}) {
			if err != nil && !isDataLoss(err) {
				t.Fatalf("a file that ends at %d of %d bytes brings %v", cut, len(file), err)
			}
		}
	}
}

func TestAnotherNumberOfRows(t *testing.T) {
	file, _ := written(t, oddMetrics(10), 10)
	if _, err := read[trackio.MetricsRow](file, Options{Rows: 11}); !isDataLoss(err) || !strings.Contains(err.Error(), "10 rows of 11") {
		t.Errorf("a file of 10 rows that should have 11 brings %v", err)
	}
}

func TestAnotherKind(t *testing.T) {
	file, _ := written(t, oddMetrics(10), 10)
	if _, err := read[trackio.SystemMetricsRow](file, Options{}); !isDataLoss(err) {
		t.Errorf("metrics that are read as system metrics bring %v", err)
	}
}

func TestNewerVersion(t *testing.T) {
	file, _ := written(t, oddMetrics(10), 10)
	at := bytes.LastIndex(file, []byte(formatKey)) + len(formatKey) + 2 // the value's field and length
	if file[at] != formatVersion[0] {
		t.Fatalf("the version is not where it should be: %q", file[at-4:at+4])
	}
	file[at]++
	_, err := read[trackio.MetricsRow](file, Options{})
	if !errors.Is(err, errors.ErrUnsupported) || trackio.KindOf(err) != errors.ErrUnsupported || trackio.HintOf(err) == "" {
		t.Errorf("a file of a newer version brings %v", err)
	}
}

// TestDamage turns bytes of a file over. What comes back is an error, or the rows
// as they were: nothing is left out, and nothing is made up.
func TestDamage(t *testing.T) {
	rows := oddMetrics(300)
	file, _ := written(t, rows, 300)
	footer := int(binary.LittleEndian.Uint32(file[len(file)-trailer:]))
	rnd := rand.New(rand.NewPCG(3, 4))
	errs := 0
	for i := range 4000 {
		damaged := bytes.Clone(file)
		at := 4 + rnd.IntN(len(file)-4)
		if i%2 == 0 {
			at = len(file) - 1 - rnd.IntN(footer)
		}
		damaged[at] ^= 1 << rnd.IntN(8)
		got, err := read[trackio.MetricsRow](damaged, Options{Rows: 300})
		switch {
		case err == nil && !reflect.DeepEqual(got, rows):
			t.Fatalf("byte %d of %d turned over: other rows come back, and no error", at, len(file))
		case err != nil && !isDataLoss(err) && !errors.Is(err, errors.ErrUnsupported):
			t.Fatalf("byte %d of %d turned over: %v", at, len(file), err)
		case err != nil:
			errs++
		}
	}
	if errs < 1000 {
		t.Errorf("only %d of 4000 damages were found", errs)
	}
}

// TestBombs gives pages that claim far more than they hold.
func TestBombs(t *testing.T) {
	bomb, err := zstdCodec{}.Encode(nil, make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	most := peak(func() {
		if _, err := decompress(bomb, 1<<30); err == nil {
			t.Error("a mebibyte became a gibibyte")
		}
	})
	if most > 160<<20 {
		t.Errorf("a page that claims a gibibyte takes %d MiB", most>>20)
	}
}

// errSource is a source that fails.
type errSource struct{ err error }

func (s errSource) ReadAt(context.Context, []byte, int64) error { return s.err }

func TestErrorsOfTheSource(t *testing.T) {
	failed := errors.New("no route to host")
	broken := trackio.Errorf(trackio.ErrUnavailable, "body: %w", io.ErrUnexpectedEOF) // a connection, not the file
	for _, want := range []error{failed, trackio.ErrNotFound, trackio.Errorf(trackio.ErrPermission, "no"), broken} {
		for _, err := range Read[trackio.AlertRow](context.Background(), errSource{want}, 1000, Options{}) {
			if err != want {
				t.Errorf("the error of the source is passed on as %v, want %v", err, want)
			}
		}
	}
	for _, ended := range []error{io.EOF, io.ErrUnexpectedEOF} {
		for _, err := range Read[trackio.AlertRow](context.Background(), errSource{ended}, 1000, Options{}) {
			if !isDataLoss(err) {
				t.Errorf("a file that ends early brings %v", err)
			}
		}
	}
}

func TestErrorsOfTheTarget(t *testing.T) {
	failed := errors.New("disk full")
	w := NewWriter[trackio.MetricsRow](errWriter{failed})
	err := w.Write(oddMetrics(groupRows + 1))
	if err != failed {
		t.Errorf("Write returned %v", err)
	}
	if _, err := w.Close(); err != failed {
		t.Errorf("Close returned %v", err)
	}
}

func TestRowsThatAreTooLarge(t *testing.T) {
	for _, row := range []trackio.TraceRow{
		{Messages: make(json.RawMessage, maxRow+1)},
		{Messages: make(json.RawMessage, maxRow/2), SearchText: strings.Repeat("\xff", maxRow/4+1)}, // kept twice
	} {
		w := NewWriter[trackio.TraceRow](io.Discard)
		if err := w.Write([]trackio.TraceRow{row}); trackio.KindOf(err) != errors.ErrUnsupported || trackio.HintOf(err) == "" {
			t.Errorf("a row that is too large brings %v", err)
		}
		if _, err := w.Close(); err == nil {
			t.Error("the file without it can be closed")
		}
	}
}

type errWriter struct{ err error }

func (w errWriter) Write([]byte) (int, error) { return 0, w.err }

// FuzzRead reads hostile files, of which but the last bytes are as they should be. It must neither panic nor hold more memory than
// the file can ask for.
func FuzzRead(f *testing.F) {
	metrics, _ := written(f, oddMetrics(4), 4)
	system, _ := written(f, oddSystem(4), 4)
	alerts, _ := written(f, oddAlerts(4), 4)
	traces, _ := written(f, oddTraces(4), 4)
	empty, _ := written(f, []trackio.AlertRow{}, 1)
	for _, file := range [][]byte{metrics, system, alerts, traces, empty} {
		footer := len(file) - trailer - int(binary.LittleEndian.Uint32(file[len(file)-trailer:]))
		f.Add(file[:footer], file[footer:len(file)-trailer])
	}
	f.Fuzz(func(t *testing.T, body, footer []byte) {
		file := binary.LittleEndian.AppendUint32(append(body, footer...), uint32(len(footer)))
		file = append(file, magic...)
		check(t, file, Options{}, func(rows []trackio.MetricsRow) int { return len(rows) })
		check(t, file, Options{}, func(rows []trackio.SystemMetricsRow) int { return len(rows) })
		check(t, file, Options{Steps: trackio.Range[int64]{From: ptr(int64(0))}}, func(rows []trackio.AlertRow) int { return len(rows) })
		check(t, file, Options{Rows: 4}, func(rows []trackio.TraceRow) int { return len(rows) })
	})
}

func check[R Row](t *testing.T, file []byte, opts Options, count func([]R) int) {
	rows := 0
	for batch, err := range Read[R](context.Background(), SourceOf(bytes.NewReader(file)), int64(len(file)), opts) {
		if err != nil && !isDataLoss(err) && trackio.KindOf(err) != errors.ErrUnsupported {
			t.Errorf("the error has the wrong kind: %v", err)
		}
		if rows += count(batch); rows > 100_000 {
			break
		}
	}
}

// FuzzPage reads hostile pages of all kinds of columns, past the checksum.
func FuzzPage(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 6, 1, 1, 0, 0, 0, 'a', 0, 0, 0, 0, 0, 0, 0, 0}, uint16(3), true)
	f.Add([]byte{2, 0, 0, 0, 3, 5, 1, 0, 0, 0, 'a', 2, 0, 0, 0, 'b', 'c'}, uint16(3), true)
	f.Add([]byte{1, 0, 0, 0, 'a', 0, 0, 0, 0}, uint16(2), false)
	f.Fuzz(func(t *testing.T, page []byte, n uint16, optional bool) {
		for _, holds := range []physical{text, payload, number} {
			p := pages{column: column{"x", holds, optional}, size: int(n), values: page}
			if optional {
				levels, rest, err := parseLevels(page, int(n))
				if err != nil {
					continue
				}
				if len(levels) != int(n) {
					t.Fatalf("%d levels of %d", len(levels), n)
				}
				p.levels, p.values = levels, rest
			}
			var v values
			for p.at < p.size {
				n := p.fit(p.size - p.at)
				if n < 1 || n > p.size-p.at {
					t.Fatalf("%d of %d values fit", n, p.size-p.at)
				}
				if p.take(&v, n) != nil {
					break
				}
			}
		}
	})
}
