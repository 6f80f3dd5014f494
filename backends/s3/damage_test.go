package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// readAll exports a run with all its bytes.
func readAll(ctx context.Context, b *Backend, ref trackio.RunRef) error {
	for record, err := range b.ExportRun(ctx, ref, trackio.ExportOptions{}) {
		if err != nil {
			return err
		}
		if m, ok := record.(*trackio.Media); ok && m.Body != nil {
			if _, err := io.Copy(io.Discard, m.Body); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestDamagedData: an object of a run that differs from what was stored in one
// byte, or is gone, ends an export in data loss.
func TestDamagedData(t *testing.T) {
	ref := trackio.RunRef{Project: "p", ID: "run"}
	for i, name := range []string{manifestName, mediaIndexName, "metrics.parquet", mediaDir + "00000002.png"} {
		b := opened(t, Config{Bucket: fmt.Sprint("mem://damaged", i)})
		if _, err := b.ImportRun(t.Context(), ref, illustrated("run", 3)); err != nil {
			t.Fatal(err)
		}
		if err := readAll(t.Context(), b, ref); err != nil {
			t.Fatalf("before: %v", err)
		}
		run, err := b.find(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		key := dataKey(run.Data, name)
		body, err := b.bucket.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		body[len(body)-1] ^= 1
		if err := b.bucket.Put(t.Context(), key, body, ""); err != nil {
			t.Fatal(err)
		}
		if err := readAll(t.Context(), b, ref); !errors.Is(err, trackio.ErrDataLoss) {
			t.Errorf("%s was changed: %v", name, err)
		}
		if err := b.bucket.Delete(t.Context(), []string{key}); err != nil {
			t.Fatal(err)
		}
		if err := readAll(t.Context(), b, ref); trackio.KindOf(err) != trackio.ErrDataLoss {
			t.Errorf("%s was removed: %v", name, err)
		}
	}
}
