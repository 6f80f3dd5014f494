package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// staging is an import before it is visible: a database with the run's rows, its
// media references already as they will be stored, and the media where their
// intake keeps them.
type staging struct {
	op     *operation
	path   string // of the database
	w      *writer
	schema *schema
	media  intake

	name   string
	rows   int64
	places map[string]string // media path in the stream: its place
	insert map[string]*sql.Stmt
}

// stage reads the stream to its end. What it returns is to be closed, on an error
// too; then the caller undoes the media.
func (b *Backend) stage(ctx context.Context, op *operation, records iter.Seq2[trackio.Record, error]) (*staging, error) {
	dir := b.stagingOf(op)
	if err := makeDirs(b.dir, dir); err != nil {
		return nil, wrapErr(err, "create the directory", dir)
	}
	media, err := b.newIntake(op, dir)
	if err != nil {
		return nil, err
	}
	st := &staging{op: op, path: filepath.Join(dir, "rows.db"), media: media, places: map[string]string{}, insert: map[string]*sql.Stmt{}}
	err = st.open(ctx, b)
	if err == nil {
		err = st.read(ctx, records)
	}
	if err == nil && st.rows == 0 {
		err = trackio.Errorf(errors.ErrUnsupported, "run %q has neither rows nor a config, and a Trackio directory knows runs by these alone", op.NewID)
	}
	if err == nil {
		err = media.flush()
	}
	if err == nil {
		err = st.w.commit(ctx)
	}
	st.endRows()
	return st, err
}

func (st *staging) open(ctx context.Context, b *Backend) (err error) {
	if st.w, err = b.openScratch(ctx, st.path); err != nil {
		return err
	}
	for _, statement := range ddl {
		if strings.HasPrefix(statement.text, "CREATE TABLE") { // nobody searches here
			if _, err := st.w.exec(ctx, statement.text); err != nil {
				return err
			}
		}
	}
	st.schema, err = readSchema(ctx, st.w)
	return err
}

// endRows ends the writing of rows; the media are yet to be placed.
func (st *staging) endRows() {
	for _, stmt := range st.insert {
		_ = stmt.Close()
	}
	if st.w != nil {
		_ = st.w.close()
	}
}

func (st *staging) read(ctx context.Context, records iter.Seq2[trackio.Record, error]) error {
	for record, err := range trackio.Checked(records) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = st.add(ctx, record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (st *staging) add(ctx context.Context, record trackio.Record) error {
	id := st.op.NewID
	switch r := record.(type) {
	case *trackio.Header:
		st.name, st.op.RunName = r.Name, r.Name
	case *trackio.Config:
		return st.row(ctx, "configs", "run_id, run_name, config, created_at", id, st.name, []byte(r.JSON), r.CreatedAt)
	case *trackio.Metrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			payload, _, err := rewriteRefs(row.Metrics, st.place)
			if err != nil {
				return err
			}
			if err := st.row(ctx, "metrics", "run_id, timestamp, run_name, step, metrics, log_id, space_id",
				id, row.Timestamp, st.name, row.Step, payload, orNull(row.LogID), orNull(row.SpaceID)); err != nil {
				return err
			}
		}
	case *trackio.SystemMetrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			payload, _, err := rewriteRefs(row.Metrics, st.place)
			if err != nil {
				return err
			}
			if err := st.row(ctx, "system_metrics", "run_id, timestamp, run_name, metrics, log_id, space_id",
				id, row.Timestamp, st.name, payload, orNull(row.LogID), orNull(row.SpaceID)); err != nil {
				return err
			}
		}
	case *trackio.Alerts:
		for i := range r.Rows {
			row := &r.Rows[i]
			if err := st.row(ctx, "alerts", "run_id, timestamp, run_name, title, text, level, step, alert_id",
				id, row.Timestamp, st.name, row.Title, row.Text, row.Level, row.Step, orNull(row.AlertID)); err != nil {
				return err
			}
		}
	case *trackio.Traces:
		for i := range r.Rows {
			if err := st.trace(ctx, &r.Rows[i]); err != nil {
				return err
			}
		}
	case *trackio.Media:
		return st.takeFile(ctx, r)
	default:
		return trackio.Errorf(errors.ErrUnsupported, "records of type %T cannot be stored in a Trackio directory", record)
	}
	return nil
}

func (st *staging) trace(ctx context.Context, row *trackio.TraceRow) error {
	var pairs []string
	follow := func(path string) string {
		to := st.place(path)
		if !strings.HasPrefix(path, "/") {
			pairs = append(pairs, path, to)
		}
		return to
	}
	messages, _, err := rewriteRefs(row.Messages, follow)
	if err != nil {
		return err
	}
	metadata, _, err := rewriteRefs(row.Metadata, follow)
	if err != nil {
		return err
	}
	return st.row(ctx, "traces", "id, run_id, timestamp, run_name, step, key, trace_index, messages, metadata, search_text, log_id, space_id",
		row.ID, st.op.NewID, row.Timestamp, st.name, row.Step, row.Key, row.TraceIndex, messages, metadata,
		strings.NewReplacer(pairs...).Replace(row.SearchText), orNull(row.LogID), orNull(row.SpaceID))
}

// row stores one row with a statement that is prepared once a table.
func (st *staging) row(ctx context.Context, table, columns string, values ...any) error {
	stmt := st.insert[table]
	if stmt == nil {
		var err error
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")
		stmt, err = st.w.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, columns, marks))
		if err != nil {
			return wrapErr(cause(ctx, err), "write", st.path)
		}
		st.insert[table] = stmt
	}
	st.rows++
	_, err := stmt.ExecContext(ctx, values...)
	return wrapErr(cause(ctx, err), "write", st.path)
}

// place gives a media reference of the stream the form in which it is stored.
func (st *staging) place(streamPath string) string {
	if foreign, ok := strings.CutPrefix(streamPath, "/"); ok {
		return foreign
	}
	if to, ok := st.places[streamPath]; ok {
		return to
	}
	to := st.media.choose(streamPath)
	st.places[streamPath] = to
	return to
}

// takeFile takes a file and checks that it is what the stream says it is.
func (st *staging) takeFile(ctx context.Context, m *trackio.Media) error {
	to, ok := st.places[m.Path]
	if !ok {
		return trackio.Errorf(trackio.ErrInvalid, "media file %q is not referred to by any row of run %q", m.Path, st.op.NewID)
	}
	if m.Missing {
		return nil
	}
	if m.Body == nil {
		return trackio.Errorf(trackio.ErrInvalid, "media file %q comes without its content", m.Path)
	}
	return st.media.add(ctx, to, &checkedBody{media: m, sum: sha256.New()}, m.Size)
}

// checkedBody is the content of a media file. It ends in [trackio.ErrDataLoss]
// when it has not the size and the hash that its record says.
type checkedBody struct {
	media *trackio.Media
	n     int64
	sum   hash.Hash
}

func (c *checkedBody) Read(p []byte) (int, error) {
	n, err := c.media.Body.Read(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	m := c.media
	if got := hex.EncodeToString(c.sum.Sum(nil)); err == io.EOF && (m.SHA256 != "" && m.SHA256 != got || c.n != m.Size) || c.n > m.Size {
		return n, trackio.Errorf(trackio.ErrDataLoss, "media file %q arrived with %d bytes and SHA-256 %s, not %d and %s", m.Path, c.n, got, m.Size, m.SHA256)
	}
	return n, err
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
