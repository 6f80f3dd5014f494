package sqlite

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// rowReader reads the rows of one kind.
type rowReader struct {
	table   string
	kind    trackio.Kinds
	refs    bool     // the rows can refer to media
	columns []string // after rowid and timestamp

	// start begins a batch: add reads one row into it and returns the size of its
	// payload, or skips it; record returns the batch.
	start func(e *exporter) (add func(position, []any) (int, error), record func() trackio.Record)
}

// position is where a row stands among those of its run.
type position struct {
	timestamp string
	rowid     int64
}

func rowReaders() []rowReader {
	return []rowReader{
		{"metrics", trackio.KindMetrics, true, []string{"step", "metrics", "log_id", "space_id"}, startMetrics},
		{"system_metrics", trackio.KindSystemMetrics, true, []string{"metrics", "log_id", "space_id"}, startSystemMetrics},
		{"alerts", trackio.KindAlerts, false, []string{"title", "text", "level", "step", "alert_id"}, startAlerts},
		{"traces", trackio.KindTraces, true, []string{"id", "step", "key", "trace_index", "messages", "metadata", "search_text", "log_id", "space_id"}, startTraces},
	}
}

// rows sends the rows of one kind in batches, ordered by (timestamp, rowid).
// When they are not wanted themselves they are read for their references only.
func (e *exporter) rows(r rowReader, wanted bool) error {
	var c *cursor
	defer func() { c.close() }()
	var last *position
	for done := false; !done; {
		mark := e.refs.mark()
		var record trackio.Record
		var next *position
		err := e.steady(func(s *snapshot) (err error) {
			e.refs.undo(mark) // what a stale snapshot brought
			if c == nil || c.snap != s {
				c.close()
				if c, err = e.openCursor(s, r, wanted, last); err != nil {
					return err
				}
			}
			record, next, err = e.batch(c, r)
			return err
		})
		if err != nil {
			return err
		}
		last, done = next, next == nil
		if record != nil && wanted {
			if err := e.send(record); err != nil {
				return err
			}
		}
	}
	return nil
}

// cursor is a query of rows on a snapshot.
type cursor struct {
	snap *snapshot
	rows *sql.Rows // nil when the database has no such table
}

func (c *cursor) close() {
	if c != nil && c.rows != nil {
		_ = c.rows.Close() // its error came out of Err
	}
}

// openCursor selects the rows that follow a position, nil meaning all.
func (e *exporter) openCursor(s *snapshot, r rowReader, wanted bool, after *position) (*cursor, error) {
	t := s.schema.table(r.table)
	if t == nil {
		return &cursor{snap: s}, nil
	}
	query, args := e.query(t, r, wanted, after)
	rows, err := s.QueryContext(e.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return &cursor{snap: s, rows: rows}, nil
}

// batch reads the next rows. It returns the position of its last row, nil when
// there are no more, and no record when it holds no rows.
func (e *exporter) batch(c *cursor, r rowReader) (trackio.Record, *position, error) {
	if c.rows == nil {
		return nil, nil, nil
	}
	add, record := r.start(e)
	var at position
	values := make([]any, len(r.columns))
	dest := make([]any, 0, len(values)+2)
	dest = append(dest, &at.rowid, &at.timestamp)
	for i := range values {
		dest = append(dest, &values[i])
	}
	size, n := 0, 0
	for size < batchSize && c.rows.Next() {
		if err := c.rows.Scan(dest...); err != nil {
			return nil, nil, err
		}
		if !e.inTimes(at.timestamp) {
			continue
		}
		bytes, err := add(at, values)
		if err != nil {
			return nil, nil, errRow(r.table, at.rowid, err)
		}
		size += bytes + rowOverhead
		n++
	}
	if err := c.rows.Err(); err != nil {
		return nil, nil, err
	}
	var next *position
	if size >= batchSize {
		next = &at
	}
	if n == 0 {
		return nil, next, nil
	}
	return record(), next, nil
}

// rowOverhead is what a row counts beside its payload: timestamps and ids.
const rowOverhead = 128

// query selects the rows of the run that the hints do not exclude.
func (e *exporter) query(t *table, r rowReader, wanted bool, after *position) (string, []any) {
	columns := make([]string, len(r.columns))
	for i, c := range r.columns {
		columns[i] = t.column(c)
	}
	where, args := []string{t.key + " = ?"}, []any{e.ref.ID}
	limit := func(cond string, arg ...any) {
		where = append(where, cond)
		args = append(args, arg...)
	}
	if !e.window() {
		limit("+rowid <= ?", e.last[t.name])
	}
	if after != nil {
		limit("(timestamp, rowid) > (?, ?)", after.timestamp, after.rowid)
	}
	if t.has["step"] {
		step := "step %s ?"
		if t.name == "alerts" { // which need not have one
			step = "(step IS NULL OR step %s ?)"
		}
		if from := e.opts.Steps.From; from != nil {
			limit(fmt.Sprintf(step, ">="), *from)
		}
		if to := e.opts.Steps.To; to != nil {
			limit(fmt.Sprintf(step, "<="), *to)
		}
	}
	// Timestamps are text with any offset: their days bound the instants with a
	// day to spare, so that the index serves; inTimes looks closer.
	if from := e.opts.Times.From; from != nil {
		limit("timestamp >= ?", from.UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	}
	if to := e.opts.Times.To; to != nil {
		limit("timestamp < ?", to.UTC().AddDate(0, 0, 2).Format(time.DateOnly))
	}
	if !wanted {
		var marks []string
		for _, c := range [...]string{"metrics", "messages", "metadata"} {
			if slices.Contains(r.columns, c) {
				marks = append(marks, fmt.Sprintf("instr(%s, '%s')", c, refMark))
			}
		}
		limit("(" + strings.Join(marks, " OR ") + ")")
	}
	return fmt.Sprintf("SELECT rowid, timestamp, %s FROM %s WHERE %s ORDER BY timestamp, rowid",
		strings.Join(columns, ", "), t.name, strings.Join(where, " AND ")), args
}

// inTimes reports whether a row is wanted by its timestamp. One that is no time
// cannot be judged here and is left to the caller.
func (e *exporter) inTimes(timestamp string) bool {
	from, to := e.opts.Times.From, e.opts.Times.To
	if from == nil && to == nil {
		return true
	}
	at, err := trackio.ParseTime(timestamp)
	if err != nil {
		return true
	}
	return (from == nil || !at.Before(*from)) && (to == nil || !at.After(*to))
}

func startMetrics(e *exporter) (func(position, []any) (int, error), func() trackio.Record) {
	batch := &trackio.Metrics{}
	add := func(at position, v []any) (int, error) {
		c := columnReader{values: v}
		row := trackio.MetricsRow{Timestamp: at.timestamp, Step: c.number(), Metrics: e.payload(&c), LogID: c.text(), SpaceID: c.text()}
		batch.Rows = append(batch.Rows, row)
		return len(row.Metrics), c.err
	}
	return add, func() trackio.Record { return batch }
}

func startSystemMetrics(e *exporter) (func(position, []any) (int, error), func() trackio.Record) {
	batch := &trackio.SystemMetrics{}
	add := func(at position, v []any) (int, error) {
		c := columnReader{values: v}
		row := trackio.SystemMetricsRow{Timestamp: at.timestamp, Metrics: e.payload(&c), LogID: c.text(), SpaceID: c.text()}
		batch.Rows = append(batch.Rows, row)
		return len(row.Metrics), c.err
	}
	return add, func() trackio.Record { return batch }
}

func startAlerts(*exporter) (func(position, []any) (int, error), func() trackio.Record) {
	batch := &trackio.Alerts{}
	add := func(at position, v []any) (int, error) {
		row, err := alertRow(at.timestamp, v)
		batch.Rows = append(batch.Rows, row)
		size := len(row.Title)
		if row.Text != nil {
			size += len(*row.Text)
		}
		return size, err
	}
	return add, func() trackio.Record { return batch }
}

// alertRow reads the columns title, text, level, step and alert_id.
func alertRow(timestamp string, values []any) (trackio.AlertRow, error) {
	c := columnReader{values: values}
	row := trackio.AlertRow{Timestamp: timestamp, Title: c.text(), Text: c.optionalText(), Level: c.text(), Step: c.optionalNumber(), AlertID: c.text()}
	return row, c.err
}

func startTraces(e *exporter) (func(position, []any) (int, error), func() trackio.Record) {
	batch := &trackio.Traces{}
	add := func(at position, v []any) (int, error) {
		c := columnReader{values: v}
		paths := map[string]string{}
		row := trackio.TraceRow{
			ID: c.text(), Timestamp: at.timestamp, Step: c.number(), Key: c.text(), TraceIndex: c.optionalNumber(),
			Messages: e.rewrite(&c, paths), Metadata: e.rewrite(&c, paths),
			SearchText: replacePaths(c.text(), paths), LogID: c.text(), SpaceID: c.text(),
		}
		batch.Rows = append(batch.Rows, row)
		return len(row.Messages) + len(row.Metadata) + len(row.SearchText), c.err
	}
	return add, func() trackio.Record { return batch }
}

func (e *exporter) payload(c *columnReader) json.RawMessage { return e.rewrite(c, nil) }

// rewrite reads a payload and gives its references the form of the stream; the
// old and new paths go into paths.
func (e *exporter) rewrite(c *columnReader, paths map[string]string) json.RawMessage {
	old := c.bytes()
	if c.err != nil {
		return nil
	}
	payload, _, err := rewriteRefs(old, func(path string) string {
		rel := e.refs.add(path)
		if paths != nil {
			paths[path] = rel
		}
		return rel
	})
	c.err = err
	return payload
}

// replacePaths replaces each occurrence of the old paths in a text.
func replacePaths(text string, paths map[string]string) string {
	if len(paths) == 0 {
		return text
	}
	olds := make([]string, 0, len(paths))
	for old := range paths {
		if old != "" {
			olds = append(olds, old)
		}
	}
	// A path that begins with another one is tried first.
	slices.SortFunc(olds, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(olds))
	for _, old := range olds {
		pairs = append(pairs, old, paths[old])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// columnReader takes the values of a row one after the other, whatever way they
// are stored in, and keeps the first error.
type columnReader struct {
	values []any
	at     int
	err    error
}

func (c *columnReader) next() any {
	v := c.values[c.at]
	c.at++
	return v
}

func (c *columnReader) bytes() []byte {
	switch v := c.next().(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	default:
		c.fail("JSON", v)
		return nil
	}
}

func (c *columnReader) optionalText() *string {
	var s sql.NullString
	if err := s.Scan(c.next()); err != nil {
		c.fail("text", err)
	}
	if !s.Valid {
		return nil
	}
	return &s.String
}

func (c *columnReader) text() string {
	if s := c.optionalText(); s != nil {
		return *s
	}
	return ""
}

func (c *columnReader) optionalNumber() *int64 {
	var n sql.NullInt64
	v := c.next()
	if err := n.Scan(v); err != nil {
		c.fail("a whole number", v)
	}
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

func (c *columnReader) number() int64 {
	n := c.optionalNumber()
	if n == nil {
		if c.err == nil {
			c.fail("a whole number", nil)
		}
		return 0
	}
	return *n
}

func (c *columnReader) fail(want string, got any) {
	if c.err == nil {
		c.err = trackio.Errorf(trackio.ErrDataLoss, "a column holds %v instead of %s", got, want)
	}
}
