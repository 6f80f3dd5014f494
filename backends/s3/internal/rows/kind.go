package rows

import (
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Row is a row of one of the kinds that are kept in files.
type Row interface {
	trackio.MetricsRow | trackio.SystemMetricsRow | trackio.AlertRow | trackio.TraceRow
}

// physical is how the values of a column are stored.
type physical uint8

const (
	text    physical = iota // bytes, read as strings
	payload                 // bytes, read as bytes
	number                  // 64-bit integers
)

// column describes one column of a file.
type column struct {
	name     string
	holds    physical
	optional bool
}

// The columns that every kind has.
const (
	timeColumn  = "time"
	stepColumn  = "step"
	exactColumn = "exact"
)

// kind is all that this package knows of one kind of rows.
type kind[R Row] struct {
	name    string
	columns []column // as the tags of the record that is written say
	open    func(w *Writer[R]) table[R]
	row     func(b *batch, i int) R // the row i of a batch
}

// kindOf returns what is known of a kind of rows.
func kindOf[R Row]() kind[R] {
	var found any
	switch any(*new(R)).(type) {
	case trackio.MetricsRow:
		found = metricsKind
	case trackio.SystemMetricsRow:
		found = systemKind
	case trackio.AlertRow:
		found = alertsKind
	case trackio.TraceRow:
		found = tracesKind
	}
	return found.(kind[R]) // there is a case for each type of Row
}

// index returns the place of a column, or -1.
func (k *kind[R]) index(name string) int {
	for i := range k.columns {
		if k.columns[i].name == name {
			return i
		}
	}
	return -1
}

// instant returns the microseconds since 1970 of a timestamp, rounded down, and
// nil when it is no time.
func instant(timestamp string) (*int64, time.Time) {
	at, err := trackio.ParseTime(timestamp)
	if err != nil {
		return nil, time.Time{}
	}
	us := at.UnixMicro()
	return &us, at
}
