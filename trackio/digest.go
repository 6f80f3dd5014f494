package trackio

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// Digest sums up the content of a run while its stream passes. Two runs with
// the same id and the same digest are the same run, whatever their history and
// wherever they are stored: the project, the id, the created_at that follows
// from the rows, the space ids (which say what was delivered, not what was
// logged), and the sizes of batches are left out.
//
// The sum is the SHA-256 of, in the order of the stream: for the Header 'h' and
// the name; for each Config 'c', each row 'm', 's', 'a' or 't', and each media
// 'f', followed by its fields. Text is preceded by its length (8 bytes, big
// endian); numbers are 8 bytes; an absent value is a single 0 byte and a present
// optional one a 1 byte and the value; media have path, then 0 when missing,
// else 1, size and SHA-256 text.
type Digest struct {
	Counts     Counts // rows that passed
	Media      int64  // files that passed, missing ones included
	MediaBytes int64  // their sizes

	sum hash.Hash
	buf []byte
}

// NewDigest returns an empty digest.
func NewDigest() *Digest { return &Digest{sum: sha256.New()} }

// Add takes the next record of a stream. Media must have their SHA256 set, that
// is, be added after their body was read.
func (d *Digest) Add(r Record) {
	switch r := r.(type) {
	case *Header:
		d.begin('h').text(r.Name).end()
	case *Config:
		d.begin('c').bytes(r.JSON).text(r.CreatedAt).end()
	case *Metrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			d.begin('m').text(row.Timestamp).number(row.Step).bytes(row.Metrics).text(row.LogID).end()
		}
		d.Counts.Metrics += int64(len(r.Rows))
	case *SystemMetrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			d.begin('s').text(row.Timestamp).bytes(row.Metrics).text(row.LogID).end()
		}
		d.Counts.SystemMetrics += int64(len(r.Rows))
	case *Alerts:
		for i := range r.Rows {
			row := &r.Rows[i]
			d.begin('a').text(row.Timestamp).text(row.Title).optionalText(row.Text).
				text(row.Level).optionalNumber(row.Step).text(row.AlertID).end()
		}
		d.Counts.Alerts += int64(len(r.Rows))
	case *Traces:
		for i := range r.Rows {
			row := &r.Rows[i]
			d.begin('t').text(row.ID).text(row.Timestamp).number(row.Step).text(row.Key).
				optionalNumber(row.TraceIndex).bytes(row.Messages).bytes(row.Metadata).
				text(row.SearchText).text(row.LogID).end()
		}
		d.Counts.Traces += int64(len(r.Rows))
	case *Media:
		d.begin('f').text(r.Path)
		if r.Missing {
			d.buf = append(d.buf, 0)
		} else {
			d.buf = append(d.buf, 1)
			d.number(r.Size).text(r.SHA256)
			d.MediaBytes += r.Size
		}
		d.end()
		d.Media++
	}
}

// Sum returns the digest of what was added so far, in lower-case hex.
func (d *Digest) Sum() string { return hex.EncodeToString(d.sum.Sum(nil)) }

func (d *Digest) begin(tag byte) *Digest {
	d.buf = append(d.buf[:0], tag)
	return d
}

func (d *Digest) number(n int64) *Digest {
	d.buf = binary.BigEndian.AppendUint64(d.buf, uint64(n)) // two's complement is what is meant
	return d
}

func (d *Digest) text(s string) *Digest {
	d.number(int64(len(s)))
	d.buf = append(d.buf, s...)
	return d
}

func (d *Digest) bytes(b []byte) *Digest {
	d.number(int64(len(b)))
	d.buf = append(d.buf, b...)
	return d
}

func (d *Digest) optionalText(s *string) *Digest {
	if s == nil {
		d.buf = append(d.buf, 0)
		return d
	}
	d.buf = append(d.buf, 1)
	return d.text(*s)
}

func (d *Digest) optionalNumber(n *int64) *Digest {
	if n == nil {
		d.buf = append(d.buf, 0)
		return d
	}
	d.buf = append(d.buf, 1)
	return d.number(*n)
}

func (d *Digest) end() { d.sum.Write(d.buf) }
