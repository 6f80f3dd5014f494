package trackio

import (
	"encoding/json"
	"io"
	"path"
	"strings"
	"unicode/utf8"
)

// A Record is one item of the stream in which a run travels between a backend
// and the core. The stream of a run is, in this order:
//
//   - one [*Header];
//   - at most one [*Config];
//   - the rows, in batches of any length: [*Metrics], then [*SystemMetrics],
//     then [*Alerts], then [*Traces], each kind ordered by (timestamp as text,
//     order of insertion);
//   - one [*Media] for each file that the rows refer to, in byte order of its
//     path, each path once.
//
// Payloads are opaque JSON bytes: key order, number tokens and white space are
// kept. Only media references inside them are rewritten (see [Media]), and how a
// rewritten one is escaped may change.
//
// The receiver may keep a record and its rows, but must not change them; only
// the Body of a Media ends with the next record.
type Record interface{ kind() Kinds }

// Kinds is a set of record kinds. The zero value means all of them.
type Kinds uint8

// The record kinds that can be asked for. A Header always comes.
const (
	KindConfig Kinds = 1 << iota
	KindMetrics
	KindSystemMetrics
	KindAlerts
	KindTraces
	KindMedia

	AllKinds = KindConfig | KindMetrics | KindSystemMetrics | KindAlerts | KindTraces | KindMedia
)

// Has reports whether the set holds every kind of other.
func (k Kinds) Has(other Kinds) bool {
	return k == 0 || k&other == other
}

// Header opens a stream. Revision is that of the snapshot which is exported.
// An importer takes the Name from it and ignores its RunRef; CreatedAt follows
// from the rows.
type Header struct {
	RunInfo
	// Kinds are the kinds that this stream can hold. An importer that cannot
	// keep one of them returns [errors.ErrUnsupported] before it reads on.
	Kinds Kinds
}

// Config is the run's configuration.
type Config struct {
	JSON      json.RawMessage // an object; NaN and infinities are the strings "NaN", "Infinity", "-Infinity"
	CreatedAt string          // ISO 8601, as stored; may be empty
}

// Metrics is a batch of logged steps.
type Metrics struct{ Rows []MetricsRow }

// MetricsRow is what one call of trackio.log wrote.
type MetricsRow struct {
	Timestamp string          // ISO 8601 text, kept as it is
	Step      int64           //
	Metrics   json.RawMessage // an object: metric name to value
	LogID     string          // idempotency key of the client; "" for none
	SpaceID   string          // not "": not yet delivered to that Space
}

// SystemMetrics is a batch of hardware readings.
type SystemMetrics struct{ Rows []SystemMetricsRow }

// SystemMetricsRow is one reading of the machine, which has no step.
type SystemMetricsRow struct {
	Timestamp string
	Metrics   json.RawMessage
	LogID     string
	SpaceID   string
}

// Alerts is a batch of alerts.
type Alerts struct{ Rows []AlertRow }

// AlertRow is what one call of trackio.alert wrote.
type AlertRow struct {
	Timestamp string
	Title     string
	Text      *string // nil when none was given
	Level     string  // "info", "warn" or "error"
	Step      *int64  // nil when none was given
	AlertID   string  // idempotency key of the client; "" for none
}

// Traces is a batch of conversation traces.
type Traces struct{ Rows []TraceRow }

// TraceRow is one trace. Its ID is an opaque key, unique within the project.
type TraceRow struct {
	ID         string
	Timestamp  string
	Step       int64
	Key        string
	TraceIndex *int64
	Messages   json.RawMessage
	Metadata   json.RawMessage
	SearchText string
	LogID      string
	SpaceID    string
}

// Media is one file of the run. Path is relative to the run, slash-separated
// and clean (see [CheckMediaPath]), and unique within the run.
//
// A payload refers to a file by an object with a string "_type" that starts
// with "trackio." and a string "file_path". Inside a stream every file_path is
// such a Path, so neither side knows the other's layout. A reference that does
// not lead into the run's own files begins with one additional "/": importers
// take that slash off and store the rest as it is, exporters put it on.
type Media struct {
	Path    string
	Size    int64  // bytes; 0 when Missing
	SHA256  string // lower-case hex; "" when the exporter does not know it yet, or Missing
	Missing bool   // a row refers to the file, and it is definitely not there

	// Body holds exactly Size bytes and is valid until the next record is asked
	// for. It is nil when Missing, and when ExportOptions.NoBodies was set (then
	// SHA256 is given).
	Body io.Reader
}

func (*Header) kind() Kinds        { return 0 }
func (*Config) kind() Kinds        { return KindConfig }
func (*Metrics) kind() Kinds       { return KindMetrics }
func (*SystemMetrics) kind() Kinds { return KindSystemMetrics }
func (*Alerts) kind() Kinds        { return KindAlerts }
func (*Traces) kind() Kinds        { return KindTraces }
func (*Media) kind() Kinds         { return KindMedia }

// KindOfRecord returns the kind of a record, 0 for a Header.
func KindOfRecord(r Record) Kinds { return r.kind() }

// CheckMediaPath reports, as [ErrInvalid], a path that a [Media] must not have:
// empty, absolute, not clean, leading out of the run, or not UTF-8.
func CheckMediaPath(p string) error {
	switch {
	case p == "", p == ".", path.IsAbs(p), path.Clean(p) != p, p == "..", strings.HasPrefix(p, "../"),
		strings.ContainsAny(p, "\\\x00"), !utf8.ValidString(p):
		return Errorf(ErrInvalid, "media path %q is not a clean relative path", p)
	}
	return nil
}
