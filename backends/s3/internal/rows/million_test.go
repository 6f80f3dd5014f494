package rows

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// training yields the rows of a run that looks like one.
type training struct {
	rnd  *rand.Rand
	at   time.Time
	step int64
}

func newTraining() *training {
	return &training{rnd: rand.New(rand.NewPCG(1, 2)), at: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
}

func (g *training) row() trackio.MetricsRow {
	g.at = g.at.Add(time.Duration(g.rnd.IntN(200_000)) * time.Microsecond)
	g.step++
	payload := make([]byte, 0, 192)
	for i, name := range [...]string{`{"loss": `, `, "accuracy": `, `, "learning_rate": `, `, "grad_norm": `, `, "epoch": `} {
		payload = append(payload, name...)
		payload = strconv.AppendFloat(payload, g.rnd.Float64()*float64(i+1), 'g', -1, 64)
	}
	payload = append(payload, '}')
	return trackio.MetricsRow{
		Timestamp: trackio.FormatTime(g.at), Step: g.step, Metrics: payload,
		LogID: fmt.Sprintf("%016x%016x", g.rnd.Uint64(), g.rnd.Uint64()),
	}
}

func (g *training) rows(n int) []trackio.MetricsRow {
	rows := make([]trackio.MetricsRow, n)
	for i := range rows {
		rows[i] = g.row()
	}
	return rows
}

// peak watches the memory that the program holds until it is stopped.
func peak(f func()) uint64 {
	done, result := make(chan struct{}), make(chan uint64)
	debug.FreeOSMemory()
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.Sys-m.HeapReleased)
			select {
			case <-done:
				result <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	return <-result
}

func writeTraining(t testing.TB, path string, n int) Summary {
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	w := NewWriter[trackio.MetricsRow](buffered)
	for g := newTraining(); n > 0; n -= 1000 {
		if err := w.Write(g.rows(min(n, 1000))); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := buffered.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestMemoryDoesNotGrow writes and reads a run, and one ten times as long, and
// rows of a megabyte each. TRACKIO_ROWS is the length of the longer one.
func TestMemoryDoesNotGrow(t *testing.T) {
	n := 500_000
	if text := os.Getenv("TRACKIO_ROWS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const limit = 160 << 20
	path := filepath.Join(t.TempDir(), "metrics.parquet")
	for _, n := range []int{n / 10, n} {
		began := time.Now()
		most := peak(func() { writeTraining(t, path, n) })
		took := time.Since(began)
		t.Logf("writing %d rows: %.0f rows/s, at most %d MiB", n, float64(n)/took.Seconds(), most>>20)
		if most > limit {
			t.Errorf("writing %d rows takes %d MiB", n, most>>20)
		}
		began = time.Now()
		var got int
		most = peak(func() { got = readTraining(t, path) })
		took = time.Since(began)
		t.Logf("reading %d rows: %.0f rows/s, at most %d MiB", n, float64(n)/took.Seconds(), most>>20)
		if got != n || most > limit {
			t.Errorf("reading %d rows brings %d and takes %d MiB", n, got, most>>20)
		}
	}
}

func readTraining(t testing.TB, path string) (n int) {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for rows, err := range Read[trackio.MetricsRow](context.Background(), SourceOf(file), info.Size(), Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(rows)
	}
	t.Logf("%d bytes", info.Size())
	return n
}

// TestLargeRows writes and reads rows of a megabyte each that do not compress.
func TestLargeRows(t *testing.T) {
	const n, size, limit = 200, 1 << 20, 160 << 20
	payload := make([]byte, size)
	rnd := rand.New(rand.NewPCG(7, 8))
	for i := range payload {
		payload[i] = byte(' ' + rnd.IntN(95))
	}
	path := filepath.Join(t.TempDir(), "metrics.parquet")
	most := peak(func() {
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		w := NewWriter[trackio.MetricsRow](file)
		for i := range n {
			copy(payload, strconv.Itoa(i))
			if err := w.Write([]trackio.MetricsRow{{Step: int64(i), Metrics: payload}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("writing %d rows of a megabyte takes %d MiB", n, most>>20)
	if most > limit {
		t.Errorf("writing rows of a megabyte takes %d MiB", most>>20)
	}
	rows := 0
	most = peak(func() { rows = readTraining(t, path) })
	t.Logf("reading them takes %d MiB", most>>20)
	if rows != n || most > limit {
		t.Errorf("reading brings %d rows and takes %d MiB", rows, most>>20)
	}
}

func BenchmarkWrite(b *testing.B) {
	rows := newTraining().rows(100_000)
	b.ReportAllocs()
	for b.Loop() {
		var out discard
		w := NewWriter[trackio.MetricsRow](&out)
		for at := 0; at < len(rows); at += 1000 {
			if err := w.Write(rows[at : at+1000]); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(out))
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkRead(b *testing.B) {
	rows := newTraining().rows(100_000)
	file, _ := written(b, rows, 1000)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read[trackio.MetricsRow](file, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds(), "rows/s")
}

type discard int64

func (d *discard) Write(p []byte) (int, error) {
	*d += discard(len(p))
	return len(p), nil
}
