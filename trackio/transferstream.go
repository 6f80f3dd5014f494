package trackio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"
)

// hashed passes the source's stream on to the importer as the copy is to be, and
// sums it up. A media file is hashed while the importer reads it. An importer that
// leaves the stream before its end has not seen the whole run, whatever it says.
func (t *transfer) hashed(records iter.Seq2[Record, error]) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		t.digest, t.whole = NewDigest(), false
		begun := false
		for record, err := range records {
			if err == nil {
				record, err = t.adapt(record)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			begun = true
			media, isMedia := record.(*Media)
			if isMedia && !media.Missing && media.Body == nil {
				yield(nil, Errorf(ErrDataLoss, "media file %q comes without its bytes", media.Path))
				return
			}
			if !isMedia || media.Missing {
				t.digest.Add(record)
				if !yield(record, nil) {
					return
				}
				continue
			}
			body := &hashReader{r: media.Body, sum: sha256.New()}
			passed := *media
			passed.Body = body
			if !yield(&passed, nil) {
				return
			}
			if err := body.finish(&passed); err != nil {
				yield(nil, err)
				return
			}
			t.digest.Add(&passed)
		}
		t.whole = begun
	}
}

// adapt makes the record of a copy out of the record of the run, and refuses a run
// that must not be copied or moved as it is.
func (t *transfer) adapt(record Record) (Record, error) {
	if header, ok := record.(*Header); ok {
		if err := t.accept(header.Revision); err != nil {
			return nil, err
		}
		adapted := *header
		adapted.RunRef = t.target
		return &adapted, nil
	}
	if !t.force && !t.rekey && undelivered(record) { // without space ids nothing of a copy is to be delivered
		return nil, Errorf(ErrConflict, "run %q has rows that Trackio has not delivered to its Space yet; nothing was copied", t.info.ID).
			WithHint("run Python's `trackio sync --project %s` first, or force it: the rows are then delivered from both places or from the new one", t.info.Project)
	}
	if t.rekey {
		return rekeyed(record, t.target.ID), nil
	}
	return record, nil
}

// accept takes note of the state of the run that is read, by which it is deleted
// later on.
func (t *transfer) accept(revision string) error {
	switch {
	case t.ifRevision != "" && t.ifRevision != revision:
		return Errorf(ErrConflict, "run %q has changed since it was looked at; it was not moved", t.info.ID).
			WithHint("look at it again, then repeat")
	case t.moving && revision == "":
		return Errorf(errors.ErrUnsupported, "run %q cannot be moved: its storage does not tell one state of a run from another", t.info.ID).
			WithHint("copy the run, look at the copy, and delete the run")
	}
	t.revision = revision
	return nil
}

// digestOfSource sums up the run as a copy of it would be.
func (t *transfer) digestOfSource(ctx context.Context) (string, error) {
	sum, _, err := digestStream(func(yield func(Record, error) bool) {
		for record, err := range t.from.ExportRun(ctx, t.info.RunRef, ExportOptions{NoBodies: true}) {
			if err == nil {
				record, err = t.adapt(record)
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	})
	return sum, err
}

// digestOf returns the content digest of a stored run and its header.
func digestOf(ctx context.Context, b Backend, ref RunRef) (string, RunInfo, error) {
	return digestStream(b.ExportRun(ctx, ref, ExportOptions{NoBodies: true}))
}

// digestStream sums up a stream without bodies. What cannot be compared, because
// there is no header or a file has no sum, is an error: it is equal to nothing.
func digestStream(records iter.Seq2[Record, error]) (string, RunInfo, error) {
	digest := NewDigest()
	var header *Header
	for record, err := range records {
		if err != nil {
			return "", RunInfo{}, err
		}
		switch r := record.(type) {
		case *Header:
			header = r
		case *Media:
			if !r.Missing && r.SHA256 == "" {
				return "", RunInfo{}, Errorf(ErrDataLoss, "media file %q comes without its SHA-256, so it cannot be compared", r.Path)
			}
		}
		digest.Add(record)
	}
	if header == nil {
		return "", RunInfo{}, Errorf(ErrDataLoss, "stream of records ended before its header")
	}
	return digest.Sum(), header.RunInfo, nil
}

// hashReader sums up what passes.
type hashReader struct {
	r   io.Reader
	sum hash.Hash
	n   int64
}

func (h *hashReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	h.n += int64(n)
	return n, err
}

// finish reads what the importer left, sets the hash, and compares with what the
// exporter said.
func (h *hashReader) finish(m *Media) error {
	if _, err := io.Copy(io.Discard, h); err != nil {
		return err
	}
	sum := hex.EncodeToString(h.sum.Sum(nil))
	if h.n != m.Size || m.SHA256 != "" && m.SHA256 != sum {
		return Errorf(ErrDataLoss, "media file %q has %d bytes with SHA-256 %s, not %d with %s", m.Path, h.n, sum, m.Size, m.SHA256)
	}
	m.SHA256 = sum
	return nil
}

// undelivered reports whether a batch holds rows that wait for delivery.
func undelivered(record Record) bool {
	switch r := record.(type) {
	case *Metrics:
		for i := range r.Rows {
			if r.Rows[i].SpaceID != "" {
				return true
			}
		}
	case *SystemMetrics:
		for i := range r.Rows {
			if r.Rows[i].SpaceID != "" {
				return true
			}
		}
	case *Traces:
		for i := range r.Rows {
			if r.Rows[i].SpaceID != "" {
				return true
			}
		}
	}
	return false
}

// rekeyed returns the record of a copy that is a run of its own.
func rekeyed(record Record, id string) Record {
	switch r := record.(type) {
	case *Metrics:
		rows := make([]MetricsRow, len(r.Rows))
		for i, row := range r.Rows {
			row.LogID, row.SpaceID = "", ""
			rows[i] = row
		}
		return &Metrics{Rows: rows}
	case *SystemMetrics:
		rows := make([]SystemMetricsRow, len(r.Rows))
		for i, row := range r.Rows {
			row.LogID, row.SpaceID = "", ""
			rows[i] = row
		}
		return &SystemMetrics{Rows: rows}
	case *Alerts:
		rows := make([]AlertRow, len(r.Rows))
		for i, row := range r.Rows {
			row.AlertID = ""
			rows[i] = row
		}
		return &Alerts{Rows: rows}
	case *Traces:
		rows := make([]TraceRow, len(r.Rows))
		for i, row := range r.Rows {
			row.ID, row.LogID, row.SpaceID = id+":"+row.ID, "", ""
			rows[i] = row
		}
		return &Traces{Rows: rows}
	}
	return record
}
