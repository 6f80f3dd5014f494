package objectstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/trackio-go/trackio/trackio"
)

// records is the stream of a run whose content follows from its id.
func records(id, name string, rows, files int) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		var metrics trackio.Metrics
		for i := range rows {
			row := trackio.MetricsRow{
				Timestamp: fmt.Sprintf("2026-01-01T10:%02d:%02d.000000+00:00", i/60%60, i%60), Step: int64(i),
				Metrics: json.RawMessage(fmt.Sprintf(`{"loss": %d.5, "of": %q}`, i, id)), LogID: fmt.Sprint(id, "-", i),
			}
			if i < files {
				row.Metrics = json.RawMessage(fmt.Sprintf(`{"image": {"_type": "trackio.image", "file_path": "%08d/a.png"}}`, i))
			}
			metrics.Rows = append(metrics.Rows, row)
		}
		ok := yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: name}, Kinds: trackio.AllKinds}, nil) &&
			yield(&trackio.Config{JSON: json.RawMessage(fmt.Sprintf(`{"id": %q}`, id)), CreatedAt: "2026-01-01T10:00:00+00:00"}, nil) &&
			yield(&metrics, nil)
		for i := 0; ok && i < files; i++ {
			body := []byte(fmt.Sprintf("%s, file %d of %d", id, i, files))
			ok = yield(&trackio.Media{Path: fmt.Sprintf("%08d/a.png", i), Size: int64(len(body)), Body: bytes.NewReader(body)}, nil)
		}
	}
}

// digest reads a stream to its end and sums it up, as if the run had no name.
func digest(stream iter.Seq2[trackio.Record, error]) (string, error) {
	d := trackio.NewDigest()
	for record, err := range stream {
		if err != nil {
			return "", err
		}
		switch r := record.(type) {
		case *trackio.Header:
			continue // names change
		case *trackio.Media:
			sum := sha256.New()
			if !r.Missing {
				if n, err := io.Copy(sum, r.Body); err != nil {
					return "", err
				} else if n != r.Size {
					return "", fmt.Errorf("media %s has %d bytes, not %d", r.Path, n, r.Size)
				}
			}
			told := *r
			told.SHA256 = hex.EncodeToString(sum.Sum(nil))
			d.Add(&told)
			continue
		}
		d.Add(record)
	}
	return d.Sum(), nil
}

// whole reports, as an error, a run that is not what its id says.
func whole(ctx context.Context, b trackio.Backend, ref trackio.RunRef, rows, files int) error {
	got, err := digest(b.ExportRun(ctx, ref, trackio.ExportOptions{}))
	if err != nil {
		return err
	}
	if want, _ := digest(records(ref.ID, "", rows, files)); got != want {
		return errors.New("run " + ref.ID + " is not what was stored")
	}
	return nil
}

// places counts where the runs of a storage are.
func places(ctx context.Context, b trackio.Backend) (map[string][]trackio.RunInfo, error) {
	found := map[string][]trackio.RunInfo{}
	for project, err := range b.ListProjects(ctx) {
		if err != nil {
			return nil, err
		}
		for info, err := range b.ListRuns(ctx, project, trackio.ListOptions{Counts: true}) {
			if errors.Is(err, trackio.ErrNotFound) {
				break // its last run has left meanwhile
			}
			if err != nil {
				return nil, err
			}
			found[info.ID] = append(found[info.ID], info)
		}
	}
	return found, nil
}
