package wire

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// errSend marks a frame that could not be sent, as against a source that failed.
type errSend struct{ error }

func (e errSend) Unwrap() error { return e.error }

// frameWriter turns records into frames. Rows of one kind are gathered, whatever
// batches they come in, until a frame has its size.
type frameWriter struct {
	send   func(*backendv1.Frame) error
	digest *trackio.Digest

	batch *backendv1.Frame // rows that wait, nil for none
	kind  trackio.Kinds    // their kind
	size  int              // and their size
	arena []byte           // their payloads, so that a source may reuse its own

	chunk []byte // for the bytes of media
}

// writeFrames sends a whole run and then the end frame. An error of type errSend
// came from send, any other from the source.
func writeFrames(records iter.Seq2[trackio.Record, error], send func(*backendv1.Frame) error) error {
	w := &frameWriter{digest: trackio.NewDigest(), send: func(f *backendv1.Frame) error {
		err := send(f)
		if err == nil {
			return nil
		}
		if unsendable := checkText(f); unsendable != nil {
			return unsendable
		}
		return errSend{err}
	}}
	for record, err := range records {
		if err != nil {
			return err
		}
		if err := w.write(record); err != nil {
			return err
		}
	}
	return w.end()
}

// checkText finds out whether a message could not be sent because a text in it
// is not UTF-8, which the protocol cannot carry.
func checkText(m proto.Message) error {
	if _, err := proto.Marshal(m); err != nil {
		return trackio.Errorf(trackio.ErrInvalid, "a text is not valid UTF-8 and cannot be passed to or from the backend: %w", err)
	}
	return nil
}

func (w *frameWriter) write(record trackio.Record) error {
	switch r := record.(type) {
	case *trackio.Header:
		w.digest.Add(r)
		return w.frame(&backendv1.Frame{Frame: &backendv1.Frame_Header{
			Header: &backendv1.Header{Run: toInfo(r.RunInfo), Kinds: ToKinds(r.Kinds)},
		}})
	case *trackio.Config:
		w.digest.Add(r)
		return w.frame(&backendv1.Frame{Frame: &backendv1.Frame_Config{
			Config: &backendv1.Config{Json: r.JSON, CreatedAt: r.CreatedAt},
		}})
	case *trackio.Media:
		return w.media(r)
	case nil:
		return trackio.Errorf(trackio.ErrInvalid, "stream of records holds a nil record")
	}
	w.digest.Add(record)
	return w.rows(record)
}

// frame sends what waits and then a frame.
func (w *frameWriter) frame(f *backendv1.Frame) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.send(f)
}

func (w *frameWriter) flush() error {
	if w.batch == nil {
		return nil
	}
	f := w.batch
	w.batch, w.arena, w.size = nil, nil, 0
	return w.send(f)
}

func (w *frameWriter) rows(record trackio.Record) error {
	switch r := record.(type) {
	case *trackio.Metrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			batch, err := room(w, trackio.KindMetrics, len(row.Metrics)+len(row.Timestamp)+len(row.LogID)+len(row.SpaceID), newMetrics)
			if err != nil {
				return err
			}
			batch.Metrics.Rows = append(batch.Metrics.Rows, &backendv1.MetricsRow{
				Timestamp: row.Timestamp, Step: row.Step, Metrics: w.keep(row.Metrics), LogId: row.LogID, SpaceId: row.SpaceID,
			})
		}
	case *trackio.SystemMetrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			batch, err := room(w, trackio.KindSystemMetrics, len(row.Metrics)+len(row.Timestamp)+len(row.LogID)+len(row.SpaceID), newSystemMetrics)
			if err != nil {
				return err
			}
			batch.SystemMetrics.Rows = append(batch.SystemMetrics.Rows, &backendv1.SystemMetricsRow{
				Timestamp: row.Timestamp, Metrics: w.keep(row.Metrics), LogId: row.LogID, SpaceId: row.SpaceID,
			})
		}
	case *trackio.Alerts:
		for i := range r.Rows {
			row := &r.Rows[i]
			size := len(row.Timestamp) + len(row.Title) + len(row.Level) + len(row.AlertID)
			if row.Text != nil {
				size += len(*row.Text)
			}
			batch, err := room(w, trackio.KindAlerts, size, newAlerts)
			if err != nil {
				return err
			}
			batch.Alerts.Rows = append(batch.Alerts.Rows, toAlertRow(row))
		}
	case *trackio.Traces:
		for i := range r.Rows {
			row := &r.Rows[i]
			size := len(row.ID) + len(row.Timestamp) + len(row.Key) + len(row.Messages) + len(row.Metadata) +
				len(row.SearchText) + len(row.LogID) + len(row.SpaceID)
			batch, err := room(w, trackio.KindTraces, size, newTraces)
			if err != nil {
				return err
			}
			batch.Traces.Rows = append(batch.Traces.Rows, &backendv1.TraceRow{
				Id: row.ID, Timestamp: row.Timestamp, Step: row.Step, Key: row.Key, TraceIndex: row.TraceIndex,
				Messages: w.keep(row.Messages), Metadata: w.keep(row.Metadata), SearchText: row.SearchText,
				LogId: row.LogID, SpaceId: row.SpaceID,
			})
		}
	default:
		return trackio.Errorf(errors.ErrUnsupported, "a record of type %T cannot be passed to or from the backend", record)
	}
	return nil
}

// rowOverhead is about what a row takes beside its texts and payloads.
const rowOverhead = 40

// room makes room for a row of a size in the batch of its kind, which it opens
// when need be and sends when it is full.
func room[F any](w *frameWriter, kind trackio.Kinds, size int, open func() (*backendv1.Frame, F)) (F, error) {
	var none F
	if size > maxRow {
		return none, trackio.Errorf(errors.ErrUnsupported, "a row of %d MiB is larger than the %d MiB that can be passed to or from a backend", size>>20, maxRow>>20)
	}
	size += rowOverhead
	if w.batch != nil && (w.kind != kind || w.size+size > frameSize) {
		if err := w.flush(); err != nil {
			return none, err
		}
	}
	w.size += size
	if w.batch != nil {
		return w.batch.Frame.(any).(F), nil
	}
	frame, batch := open()
	w.batch, w.kind = frame, kind
	return batch, nil
}

func newMetrics() (*backendv1.Frame, *backendv1.Frame_Metrics) {
	f := &backendv1.Frame_Metrics{Metrics: &backendv1.MetricsBatch{}}
	return &backendv1.Frame{Frame: f}, f
}

func newSystemMetrics() (*backendv1.Frame, *backendv1.Frame_SystemMetrics) {
	f := &backendv1.Frame_SystemMetrics{SystemMetrics: &backendv1.SystemMetricsBatch{}}
	return &backendv1.Frame{Frame: f}, f
}

func newAlerts() (*backendv1.Frame, *backendv1.Frame_Alerts) {
	f := &backendv1.Frame_Alerts{Alerts: &backendv1.AlertBatch{}}
	return &backendv1.Frame{Frame: f}, f
}

func newTraces() (*backendv1.Frame, *backendv1.Frame_Traces) {
	f := &backendv1.Frame_Traces{Traces: &backendv1.TraceBatch{}}
	return &backendv1.Frame{Frame: f}, f
}

// keep copies a payload: the row may wait in a batch longer than the source
// keeps its buffer.
func (w *frameWriter) keep(payload []byte) []byte {
	start := len(w.arena)
	w.arena = append(w.arena, payload...)
	return w.arena[start:len(w.arena):len(w.arena)]
}

// media sends a file and makes sure that it is what the record says.
func (w *frameWriter) media(m *trackio.Media) error {
	begin := &backendv1.MediaBegin{
		Path: m.Path, Size: m.Size, Sha256: m.SHA256, Missing: m.Missing, NoBody: m.Body == nil && !m.Missing,
	}
	if begin.NoBody && m.SHA256 == "" {
		return trackio.Errorf(trackio.ErrInvalid, "media %q has neither a body nor a checksum", m.Path)
	}
	if err := w.frame(&backendv1.Frame{Frame: &backendv1.Frame_MediaBegin{MediaBegin: begin}}); err != nil {
		return err
	}
	sum := m.SHA256
	if m.Body != nil && !m.Missing {
		var err error
		if sum, err = w.body(m); err != nil {
			return err
		}
	}
	w.digest.Add(&trackio.Media{Path: m.Path, Size: m.Size, SHA256: sum, Missing: m.Missing})
	return w.send(&backendv1.Frame{Frame: &backendv1.Frame_MediaEnd{MediaEnd: &backendv1.MediaEnd{Sha256: sum}}})
}

// body sends the bytes of a file in chunks and returns their checksum.
func (w *frameWriter) body(m *trackio.Media) (string, error) {
	if w.chunk == nil {
		w.chunk = make([]byte, frameSize)
	}
	hash, sent := sha256.New(), int64(0)
	for {
		n, err := io.ReadFull(m.Body, w.chunk)
		if sent += int64(n); sent > m.Size {
			return "", trackio.Errorf(trackio.ErrDataLoss, "media %q is longer than the %d bytes that were announced", m.Path, m.Size)
		}
		if n > 0 {
			hash.Write(w.chunk[:n])
			data := &backendv1.Frame_MediaData{MediaData: &backendv1.MediaData{Data: w.chunk[:n]}}
			if sendErr := w.send(&backendv1.Frame{Frame: data}); sendErr != nil {
				return "", sendErr
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return "", unreadable(m, err)
		}
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	switch {
	case sent < m.Size:
		return "", trackio.Errorf(trackio.ErrDataLoss, "media %q ended after %d of %d bytes", m.Path, sent, m.Size)
	case m.SHA256 != "" && m.SHA256 != sum:
		return "", trackio.Errorf(trackio.ErrDataLoss, "media %q has the checksum %s, not %s", m.Path, sum, m.SHA256)
	}
	return sum, nil
}

// unreadable gives the error of a body that could not be read a kind.
func unreadable(m *trackio.Media, err error) error {
	if trackio.KindOf(err) != nil || errors.Is(err, context.Canceled) {
		return err
	}
	return trackio.Errorf(trackio.ErrDataLoss, "reading media %q: %w", m.Path, err)
}

func (w *frameWriter) end() error {
	return w.frame(&backendv1.Frame{Frame: &backendv1.Frame_End{End: &backendv1.End{
		Counts:     toCounts(&w.digest.Counts),
		Media:      w.digest.Media,
		MediaBytes: w.digest.MediaBytes,
		Digest:     w.digest.Sum(),
	}}})
}
