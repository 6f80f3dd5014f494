package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// readRun reads a stream into a run of its own: nothing in it is shared with the
// sender, who may use the buffers of a record again after it.
func readRun(ctx context.Context, records iter.Seq2[trackio.Record, error]) (*run, error) {
	r := &run{}
	for record, err := range trackio.Checked(records) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = r.add(record)
		}
		if err != nil {
			return nil, err
		}
	}
	r.settle()
	return r, nil
}

// add takes over one record.
func (r *run) add(record trackio.Record) error {
	switch record := record.(type) {
	case *trackio.Header:
		r.name, r.createdAt = record.Name, record.CreatedAt
	case *trackio.Config:
		r.config = &trackio.Config{JSON: bytes.Clone(record.JSON), CreatedAt: record.CreatedAt}
	case *trackio.Metrics:
		for _, row := range record.Rows {
			row.Metrics = bytes.Clone(row.Metrics)
			r.metrics = append(r.metrics, row)
		}
	case *trackio.SystemMetrics:
		for _, row := range record.Rows {
			row.Metrics = bytes.Clone(row.Metrics)
			r.system = append(r.system, row)
		}
	case *trackio.Alerts:
		for _, row := range record.Rows {
			row.Text, row.Step = clone(row.Text), clone(row.Step)
			r.alerts = append(r.alerts, row)
		}
	case *trackio.Traces:
		for _, row := range record.Rows {
			row.TraceIndex = clone(row.TraceIndex)
			row.Messages, row.Metadata = bytes.Clone(row.Messages), bytes.Clone(row.Metadata)
			r.traces = append(r.traces, row)
		}
	case *trackio.Media:
		f, err := readFile(record)
		if err != nil {
			return err
		}
		r.media = append(r.media, f)
	}
	return nil
}

// readFile reads one of the media and checks that it is whole.
func readFile(m *trackio.Media) (file, error) {
	if m.Missing {
		return file{Media: trackio.Media{Path: m.Path, Missing: true}}, nil
	}
	if m.Body == nil {
		return file{}, trackio.Errorf(trackio.ErrInvalid, "media %q comes without its bytes", m.Path).
			WithHint("export the run with bodies")
	}
	body, err := io.ReadAll(m.Body)
	if errors.Is(err, context.Canceled) {
		return file{}, err
	}
	if err != nil {
		return file{}, trackio.Errorf(kindOr(err, trackio.ErrDataLoss), "cannot read media %q: %w", m.Path, err)
	}
	if int64(len(body)) != m.Size {
		return file{}, trackio.Errorf(trackio.ErrDataLoss, "media %q has %d bytes instead of %d", m.Path, len(body), m.Size)
	}
	hash := sha256.Sum256(body)
	sum := hex.EncodeToString(hash[:])
	if m.SHA256 != "" && m.SHA256 != sum {
		return file{}, trackio.Errorf(trackio.ErrDataLoss, "media %q has SHA-256 %s instead of %s", m.Path, sum, m.SHA256)
	}
	return file{Media: trackio.Media{Path: m.Path, Size: m.Size, SHA256: sum}, body: body}, nil
}

// kindOr returns the kind of an error, or another one when it has none.
func kindOr(err, other error) error {
	if kind := trackio.KindOf(err); kind != nil {
		return kind
	}
	return other
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// settle works out what listings show. "Earliest" and "latest" are meant as text,
// like the order of rows, in which they came. The created_at of the sender counts
// only when nothing else tells it.
func (r *run) settle() {
	var first, last []string
	note := func(n int, at func(i int) string) {
		if n > 0 {
			first, last = append(first, at(0)), append(last, at(n-1))
		}
	}
	note(len(r.metrics), func(i int) string { return r.metrics[i].Timestamp })
	note(len(r.system), func(i int) string { return r.system[i].Timestamp })
	note(len(r.alerts), func(i int) string { return r.alerts[i].Timestamp })
	note(len(r.traces), func(i int) string { return r.traces[i].Timestamp })

	switch {
	case len(r.metrics) > 0:
		r.createdAt = timeOf(r.metrics[0].Timestamp)
	case len(first) > 0:
		r.createdAt = timeOf(slices.Min(first))
	case r.config != nil && r.config.CreatedAt != "":
		r.createdAt = timeOf(r.config.CreatedAt)
	}
	if len(last) > 0 {
		r.updatedAt = timeOf(slices.Max(last))
	}
	for i := range r.metrics {
		if step := r.metrics[i].Step; r.lastStep == nil || step > *r.lastStep {
			r.lastStep = clone(&step)
		}
	}
	r.undelivered = slices.ContainsFunc(r.metrics, func(row trackio.MetricsRow) bool { return row.SpaceID != "" }) ||
		slices.ContainsFunc(r.system, func(row trackio.SystemMetricsRow) bool { return row.SpaceID != "" }) ||
		slices.ContainsFunc(r.traces, func(row trackio.TraceRow) bool { return row.SpaceID != "" })
}

// timeOf returns the time that a stamp says, the zero time when it says none.
func timeOf(stamp string) time.Time {
	t, err := trackio.ParseTime(stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}
