package plugin

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// BenchmarkStream is the price of the process for a large run: 200,000 rows and
// 100 MB of media each way.
func BenchmarkStream(b *testing.B) {
	const rows, size = 200_000, 100 << 20
	header := &trackio.Header{RunInfo: trackio.RunInfo{Name: "n"}}
	metrics := &trackio.Metrics{Rows: make([]trackio.MetricsRow, 1000)}
	for i := range metrics.Rows {
		metrics.Rows[i] = trackio.MetricsRow{
			Timestamp: "2026-01-01T00:00:00+00:00", Step: int64(i), LogID: "0123456789abcdef",
			Metrics: json.RawMessage(`{"loss": 0.123456789, "accuracy": 0.987654321, "lr": 0.001}`),
		}
	}
	sources := map[string]func(yield func(trackio.Record, error) bool){
		"rows": func(yield func(trackio.Record, error) bool) {
			if !yield(header, nil) {
				return
			}
			for range rows / len(metrics.Rows) {
				if !yield(metrics, nil) {
					return
				}
			}
		},
		"media": func(yield func(trackio.Record, error) bool) {
			media := &trackio.Media{Path: "x", Size: size, Body: io.LimitReader(endless{}, size)}
			_ = yield(header, nil) && yield(media, nil)
		},
	}
	host := testHost()
	client, err := host.Open(b.Context(), &Config{}, &Block{Type: "test", Name: "t"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for place, backend := range map[string]trackio.Backend{"process": client, "inprocess": memory.New()} {
		for what, source := range sources {
			ref := trackio.RunRef{Project: "p", ID: place + what}
			b.Run("import/"+what+"/"+place, func(b *testing.B) {
				for b.Loop() {
					if err := backend.DeleteRun(b.Context(), ref, trackio.DeleteOptions{Force: true}); err != nil && !errors.Is(err, trackio.ErrNotFound) {
						b.Fatal(err)
					}
					if _, err := backend.ImportRun(b.Context(), ref, source); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("export/"+what+"/"+place, func(b *testing.B) {
				for b.Loop() {
					for r, err := range backend.ExportRun(b.Context(), ref, trackio.ExportOptions{}) {
						if err != nil {
							b.Fatal(err)
						}
						if m, ok := r.(*trackio.Media); ok {
							if _, err := io.Copy(io.Discard, m.Body); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
			})
		}
	}
}
