package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// frameReader turns frames back into records and checks what came against the
// checksums and the end frame.
type frameReader struct {
	recv   func() (*backendv1.Frame, error) // io.EOF at the end of the stream
	bare   error                            // the kind of error that media without bytes are; nil when they may be so
	digest *trackio.Digest
	body   *mediaBody // of the file that is being read, nil for none
	err    error      // the first thing that went wrong
	whole  bool       // the end frame came and agrees
}

func newFrameReader(recv func() (*backendv1.Frame, error), bare error) *frameReader {
	return &frameReader{recv: recv, bare: bare, digest: trackio.NewDigest()}
}

// records yields the records of the stream. It ends without an error only after
// an end frame that agrees with what came, and the end of the call after it.
func (r *frameReader) records() iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for !r.whole {
			record, err := r.next()
			if err != nil {
				r.err = err
				yield(nil, err)
				return
			}
			if record != nil && !yield(record, nil) {
				return
			}
			if err := r.finishBody(); err != nil {
				r.err = err
				yield(nil, err)
				return
			}
		}
	}
}

// frame receives the next frame; the end of the stream is an error here, since a
// whole stream has an end frame.
func (r *frameReader) frame() (*backendv1.Frame, error) {
	f, err := r.recv()
	if err == io.EOF {
		return nil, trackio.Errorf(trackio.ErrDataLoss, "the stream of the run broke off before its end")
	}
	return f, err
}

// next returns the next record, nil after the end frame.
func (r *frameReader) next() (trackio.Record, error) {
	f, err := r.frame()
	if err != nil {
		return nil, err
	}
	var record trackio.Record
	switch f := f.GetFrame().(type) {
	case *backendv1.Frame_Header:
		info, err := fromInfo(f.Header.GetRun())
		if err != nil {
			return nil, err
		}
		record = &trackio.Header{RunInfo: info, Kinds: FromKinds(f.Header.GetKinds())}
	case *backendv1.Frame_Config:
		record = &trackio.Config{JSON: f.Config.GetJson(), CreatedAt: f.Config.GetCreatedAt()}
	case *backendv1.Frame_Metrics:
		record = fromMetrics(f.Metrics.GetRows())
	case *backendv1.Frame_SystemMetrics:
		record = fromSystemMetrics(f.SystemMetrics.GetRows())
	case *backendv1.Frame_Alerts:
		record = fromAlerts(f.Alerts.GetRows())
	case *backendv1.Frame_Traces:
		record = fromTraces(f.Traces.GetRows())
	case *backendv1.Frame_MediaBegin:
		media, err := r.beginMedia(f.MediaBegin)
		if err != nil {
			return nil, err
		}
		return media, nil
	case *backendv1.Frame_End:
		if err := r.checkEnd(f.End); err != nil {
			return nil, err
		}
		return nil, r.finish()
	case nil:
		return nil, trackio.Errorf(errors.ErrUnsupported, "the stream of the run holds a frame that this version of trackio does not know").
			WithHint("update trackio and its backends to the same version")
	default:
		return nil, trackio.Errorf(trackio.ErrDataLoss, "the stream of the run holds a %T out of order", f)
	}
	r.digest.Add(record)
	return record, nil
}

// finish waits for the end of the call, which may still have an error to tell.
func (r *frameReader) finish() error {
	switch _, err := r.recv(); err {
	case io.EOF:
		r.whole = true
		return nil
	case nil:
		return trackio.Errorf(trackio.ErrDataLoss, "the stream of the run goes on after its end")
	default:
		return err
	}
}

func (r *frameReader) beginMedia(begin *backendv1.MediaBegin) (*trackio.Media, error) {
	switch {
	case begin.GetNoBody() && r.bare != nil:
		return nil, trackio.Errorf(r.bare, "media %q comes without its bytes", begin.GetPath())
	case begin.GetNoBody() && begin.GetSha256() == "":
		return nil, trackio.Errorf(trackio.ErrDataLoss, "media %q has neither a body nor a checksum", begin.GetPath())
	}
	m := &trackio.Media{Path: begin.GetPath(), Size: begin.GetSize(), SHA256: begin.GetSha256(), Missing: begin.GetMissing()}
	r.body = &mediaBody{reader: r, media: *m, noBody: begin.GetNoBody(), hash: sha256.New()}
	if !m.Missing && !begin.GetNoBody() {
		m.Body = r.body
	}
	return m, nil
}

// finishBody reads what the consumer left of a file and closes the file.
func (r *frameReader) finishBody() error {
	if r.body == nil {
		return nil
	}
	b := r.body
	r.body = nil
	for b.err == nil {
		b.fetch()
	}
	err := b.err
	b.chunk, b.err = nil, errors.New("the body of a media record was read after its record")
	if err != io.EOF {
		return err
	}
	r.digest.Add(&trackio.Media{Path: b.media.Path, Size: b.media.Size, SHA256: b.media.SHA256, Missing: b.media.Missing})
	return nil
}

func (r *frameReader) checkEnd(end *backendv1.End) error {
	got := backendv1.End{
		Counts: toCounts(&r.digest.Counts), Media: r.digest.Media, MediaBytes: r.digest.MediaBytes, Digest: r.digest.Sum(),
	}
	want := end.GetCounts()
	switch {
	case want.GetMetrics() != got.Counts.Metrics, want.GetSystemMetrics() != got.Counts.SystemMetrics,
		want.GetAlerts() != got.Counts.Alerts, want.GetTraces() != got.Counts.Traces,
		end.GetMedia() != got.Media, end.GetMediaBytes() != got.MediaBytes:
		return trackio.Errorf(trackio.ErrDataLoss, "the stream of the run lost something on the way: its end announces %v, %d files with %d bytes, but %v, %d files with %d bytes came",
			want, end.GetMedia(), end.GetMediaBytes(), got.Counts, got.Media, got.MediaBytes)
	case end.GetDigest() != "" && end.GetDigest() != got.Digest:
		return trackio.Errorf(trackio.ErrDataLoss, "the stream of the run was damaged on the way: its digest is %s, but %s was announced", got.Digest, end.GetDigest())
	}
	return nil
}

// mediaBody reads the bytes of one file out of the frames.
type mediaBody struct {
	reader *frameReader
	media  trackio.Media
	noBody bool
	hash   hash.Hash
	got    int64
	chunk  []byte // received and not yet read
	err    error  // io.EOF when the file came whole
}

func (b *mediaBody) Read(p []byte) (int, error) {
	for len(b.chunk) == 0 && b.err == nil {
		b.fetch()
	}
	if len(b.chunk) > 0 {
		n := copy(p, b.chunk)
		b.chunk = b.chunk[n:]
		return n, nil
	}
	return 0, b.err
}

// fetch receives the next chunk, or the end of the file.
func (b *mediaBody) fetch() {
	b.chunk = nil
	f, err := b.reader.frame()
	if err != nil {
		b.err = err
		return
	}
	switch f := f.GetFrame().(type) {
	case *backendv1.Frame_MediaData:
		data := f.MediaData.GetData()
		if b.got += int64(len(data)); b.got > b.media.Size || b.noBody || b.media.Missing {
			b.err = trackio.Errorf(trackio.ErrDataLoss, "media %q is longer than the %d bytes that were announced", b.media.Path, b.media.Size)
			return
		}
		b.hash.Write(data)
		b.chunk = data
	case *backendv1.Frame_MediaEnd:
		b.err = b.checkEnd(f.MediaEnd.GetSha256())
	case nil:
		b.err = trackio.Errorf(errors.ErrUnsupported, "media %q holds a frame that this version of trackio does not know", b.media.Path)
	default:
		b.err = trackio.Errorf(trackio.ErrDataLoss, "media %q is interrupted by a %T", b.media.Path, f)
	}
}

func (b *mediaBody) checkEnd(announced string) error {
	if b.noBody || b.media.Missing {
		return io.EOF
	}
	sum := hex.EncodeToString(b.hash.Sum(nil))
	switch {
	case b.got != b.media.Size:
		return trackio.Errorf(trackio.ErrDataLoss, "media %q ended after %d of %d bytes", b.media.Path, b.got, b.media.Size)
	case announced != sum, b.media.SHA256 != "" && b.media.SHA256 != sum:
		return trackio.Errorf(trackio.ErrDataLoss, "media %q was damaged on the way: its checksum is %s", b.media.Path, sum)
	}
	b.media.SHA256 = sum
	return io.EOF
}

func fromMetrics(rows []*backendv1.MetricsRow) *trackio.Metrics {
	batch := &trackio.Metrics{Rows: make([]trackio.MetricsRow, len(rows))}
	for i, r := range rows {
		batch.Rows[i] = trackio.MetricsRow{
			Timestamp: r.GetTimestamp(), Step: r.GetStep(), Metrics: r.GetMetrics(), LogID: r.GetLogId(), SpaceID: r.GetSpaceId(),
		}
	}
	return batch
}

func fromSystemMetrics(rows []*backendv1.SystemMetricsRow) *trackio.SystemMetrics {
	batch := &trackio.SystemMetrics{Rows: make([]trackio.SystemMetricsRow, len(rows))}
	for i, r := range rows {
		batch.Rows[i] = trackio.SystemMetricsRow{
			Timestamp: r.GetTimestamp(), Metrics: r.GetMetrics(), LogID: r.GetLogId(), SpaceID: r.GetSpaceId(),
		}
	}
	return batch
}

func fromAlerts(rows []*backendv1.AlertRow) *trackio.Alerts {
	batch := &trackio.Alerts{Rows: make([]trackio.AlertRow, len(rows))}
	for i, r := range rows {
		batch.Rows[i] = fromAlertRow(r)
	}
	return batch
}

func fromTraces(rows []*backendv1.TraceRow) *trackio.Traces {
	batch := &trackio.Traces{Rows: make([]trackio.TraceRow, len(rows))}
	for i, r := range rows {
		batch.Rows[i] = trackio.TraceRow{
			ID: r.GetId(), Timestamp: r.GetTimestamp(), Step: r.GetStep(), Key: r.GetKey(), Messages: r.GetMessages(),
			Metadata: r.GetMetadata(), SearchText: r.GetSearchText(), LogID: r.GetLogId(), SpaceID: r.GetSpaceId(),
		}
		if r != nil {
			batch.Rows[i].TraceIndex = r.TraceIndex
		}
	}
	return batch
}
