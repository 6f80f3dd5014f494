package sqlite

import (
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// BenchmarkMediaInBucket is the way of 2,000 files of 20 KiB through a bucket on a
// server of this machine.
func BenchmarkMediaInBucket(b *testing.B) {
	const files = 2000
	body := strings.Repeat("x", 20<<10)
	media := servers.Start(b, servers.Versitygw).Bucket(b)
	store, err := Open(b.Context(), Config{Dir: filepath.Join(b.TempDir(), "store"), Media: media})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	id := func(i int) trackio.RunRef { return trackio.RunRef{Project: "p", ID: fmt.Sprint("run-", i)} }
	steps := []struct {
		name string
		do   func(ref trackio.RunRef)
	}{
		{"import", func(ref trackio.RunRef) {
			_, err := store.ImportRun(b.Context(), ref, manyFiles(files, body))
			must(err)
		}},
		{"hash", func(ref trackio.RunRef) {
			for _, err := range store.ExportRun(b.Context(), ref, trackio.ExportOptions{NoBodies: true}) {
				must(err)
			}
		}},
		{"move", func(ref trackio.RunRef) {
			_, err := store.MoveRun(b.Context(), ref, "q", trackio.MoveOptions{})
			must(err)
		}},
		{"delete", func(ref trackio.RunRef) {
			must(store.DeleteRun(b.Context(), trackio.RunRef{Project: "q", ID: ref.ID}, trackio.DeleteOptions{}))
		}},
	}
	next := 0
	for k, step := range steps {
		b.Run(step.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				ref := id(next)
				next++
				for _, earlier := range steps[:k] {
					earlier.do(ref)
				}
				b.StartTimer()
				step.do(ref)
			}
		})
	}
}

// manyFiles is a run with many files of one content, a row each.
func manyFiles(n int, body string) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		rows := make([]trackio.MetricsRow, n)
		for i := range rows {
			rows[i] = trackio.MetricsRow{Timestamp: stampAt(0), Step: int64(i), Metrics: []byte(`{"i":` + reference(fmt.Sprintf("%05d/a.png", i)) + `}`)}
		}
		if !yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "many"}}, nil) || !yield(&trackio.Metrics{Rows: rows}, nil) {
			return
		}
		for i := range n {
			if !yield(&trackio.Media{Path: fmt.Sprintf("%05d/a.png", i), Size: int64(len(body)), Body: strings.NewReader(body)}, nil) {
				return
			}
		}
	}
}
