package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// fragmentImport brings the rows of one file that are one project's into its
// database, within one transaction.
type fragmentImport struct {
	w       *writer
	file    *fragmentFile
	project string
	now     string
	insert  map[string]*sql.Stmt
}

func (b *Backend) importFragments(ctx context.Context, w *writer, file *fragmentFile, project string) error {
	if err := w.completeSchema(ctx); err != nil {
		return err
	}
	// The transaction may be begun anew with another database.
	for _, g := range file.groups {
		g.next = nil
	}
	im := &fragmentImport{w: w, file: file, project: project, now: trackio.FormatTime(b.now().UTC()), insert: map[string]*sql.Stmt{}}
	defer im.close()
	line := 0
	var configs []*fragmentGroup
	err := readLines(file.path, func(text []byte) error {
		line++
		f, err := parseFragment(text)
		if f == nil || trackio.CanonicalProject(f.Project) != project {
			return err
		}
		g := file.groups[f.group()]
		if g == nil {
			return trackio.Errorf(trackio.ErrConflict, "%s has changed while it was imported", file.path).WithHint("try again")
		}
		if f.Kind == "metric" && g.config != nil && !isFalse(f.fields["config"]) {
			if !slices.Contains(configs, g) {
				configs = append(configs, g)
			}
		}
		if err := im.add(ctx, g, f, line); err != nil {
			return errFragment(line, file.path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range configs {
		if err := im.config(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (im *fragmentImport) close() {
	for _, stmt := range im.insert {
		_ = stmt.Close()
	}
}

func (im *fragmentImport) add(ctx context.Context, g *fragmentGroup, f *fragment, line int) error {
	at := im.now
	if !g.untimed {
		text, err := f.text("timestamp")
		if err != nil {
			return err
		}
		at = *text
	}
	switch f.Kind {
	case "metric":
		return im.metric(ctx, g, f, line, at)
	case "system_metric":
		return im.system(ctx, f, line, at)
	default:
		return im.alert(ctx, f, line, at)
	}
}

func (im *fragmentImport) metric(ctx context.Context, g *fragmentGroup, f *fragment, line int, at string) error {
	logID, err := im.key(f, "log_id", line)
	if err != nil {
		return err
	}
	step, err := im.step(ctx, g, f)
	if err != nil {
		return err
	}
	metrics, traces, err := splitTraces(payload(f))
	if err != nil {
		return err
	}
	if err := im.row(ctx, "metrics", f, logID, []string{"timestamp", "step", "metrics", "log_id"}, at, step, metrics, logID); err != nil {
		return err
	}
	for _, t := range traces {
		id := t.id(f.runID(), logID)
		if err := im.row(ctx, "traces", f, id, []string{"id", "timestamp", "step", "key", "trace_index", "messages", "metadata", "search_text", "log_id"},
			id, at, step, t.key, t.index, t.messages, t.metadata, t.searchText(id), logID); err != nil {
			return err
		}
	}
	return nil
}

// step returns the step of a row. When rows of a group lack theirs, these count
// on from the highest that the run has.
func (im *fragmentImport) step(ctx context.Context, g *fragmentGroup, f *fragment) (any, error) {
	step, err := f.step()
	if err != nil || g.stepped {
		return step, err
	}
	if g.next == nil {
		var last sql.NullInt64
		query := fmt.Sprintf("SELECT CAST(max(step) AS INTEGER) FROM main.metrics WHERE %s = ?", im.w.schema.key)
		if err := im.w.QueryRowContext(ctx, query, f.id(im.w.schema.key)).Scan(&last); err != nil {
			return nil, wrapErr(cause(ctx, err), "read", im.w.path)
		}
		next := int64(0)
		if last.Valid {
			next = last.Int64 + 1
		}
		g.next = &next
	}
	if step == nil {
		step = *g.next
		*g.next++
	}
	return step, nil
}

func (im *fragmentImport) system(ctx context.Context, f *fragment, line int, at string) error {
	logID, err := im.key(f, "log_id", line)
	if err != nil {
		return err
	}
	return im.row(ctx, "system_metrics", f, logID, []string{"timestamp", "metrics", "log_id"}, at, compact(payload(f)), logID)
}

func (im *fragmentImport) alert(ctx context.Context, f *fragment, line int, at string) error {
	alertID, err := im.key(f, "alert_id", line)
	if err != nil {
		return err
	}
	title, err1 := f.text("title")
	text, err2 := f.text("text")
	level, err3 := f.text("level")
	step, err4 := f.step()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	if title == nil {
		title = new(string)
	}
	if level == nil || *level == "" {
		warn := "WARN"
		level = &warn
	}
	return im.row(ctx, "alerts", f, alertID, []string{"timestamp", "title", "text", "level", "step", "alert_id"},
		at, *title, text, *level, step, alertID)
}

// config stores what a run was started with, in place of what was there.
func (im *fragmentImport) config(ctx context.Context, g *fragmentGroup) error {
	f := &fragment{Run: g.key.run, RunID: g.key.id}
	stmt, args, err := im.statement(ctx, "INSERT OR REPLACE", "configs", f, []string{"config", "created_at"}, []byte(g.config), im.now)
	if err == nil {
		_, err = stmt.ExecContext(ctx, args...)
	}
	return wrapErr(cause(ctx, err), "write", im.w.path)
}

// row stores a row unless one with its key is there already. One that the
// database neither has nor takes is an error: its file must stay.
func (im *fragmentImport) row(ctx context.Context, table string, f *fragment, key string, columns []string, values ...any) error {
	stmt, args, err := im.statement(ctx, "INSERT OR IGNORE", table, f, columns, values...)
	if err != nil {
		return wrapErr(cause(ctx, err), "write", im.w.path)
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return wrapErr(cause(ctx, err), "write", im.w.path)
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	column := map[string]string{"traces": "id", "alerts": "alert_id"}[table]
	if column == "" {
		column = "log_id"
	}
	var there bool
	query := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM main.%s WHERE %s = ?)", table, column)
	if err := im.w.QueryRowContext(ctx, query, key).Scan(&there); err != nil {
		return wrapErr(cause(ctx, err), "read", im.w.path)
	}
	if !there {
		return trackio.Errorf(errors.ErrUnsupported, "table %s of %s does not take it", table, im.w.path).
			WithHint("the table is not as Trackio made it")
	}
	return nil
}

// statement returns the statement that stores a row of the fragment's run,
// prepared once a table, and its arguments.
func (im *fragmentImport) statement(ctx context.Context, verb, table string, f *fragment, columns []string, values ...any) (*sql.Stmt, []any, error) {
	columns, values = append(columns, "run_name"), append(values, f.Run)
	if im.w.schema.tables[table].has["run_id"] {
		columns, values = append(columns, "run_id"), append(values, f.runID())
	}
	stmt := im.insert[table]
	if stmt == nil {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")
		var err error
		stmt, err = im.w.PrepareContext(ctx, fmt.Sprintf("%s INTO main.%s (%s) VALUES (%s)", verb, table, strings.Join(columns, ", "), marks))
		if err != nil {
			return nil, nil, err
		}
		im.insert[table] = stmt
	}
	return stmt, values, nil
}

// key returns the id by which a row is known when it comes again. One that has
// none gets one of its place, so that it comes in once all the same.
func (im *fragmentImport) key(f *fragment, field string, line int) (string, error) {
	text, err := f.text(field)
	if err != nil {
		return "", err
	}
	if text != nil && *text != "" {
		return *text, nil
	}
	writer, name := filepath.Split(im.file.path)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", filepath.Base(writer), name, line))
	return hex.EncodeToString(sum[:16]), nil
}

// payload returns the metrics of a row, {} when there are none.
func payload(f *fragment) json.RawMessage {
	if raw := f.fields["metrics"]; !isFalse(raw) {
		return raw
	}
	return json.RawMessage("{}")
}

// step returns the step of a row, nil when it has none.
func (f *fragment) step() (any, error) {
	raw := string(f.fields["step"])
	if raw == "" || raw == "null" {
		return nil, nil
	}
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return n, nil
	}
	if x, err := strconv.ParseFloat(raw, 64); err == nil && strings.ContainsAny(raw, ".eE") {
		return x, nil
	}
	return nil, trackio.Errorf(trackio.ErrDataLoss, "step is %.40s, not a number of 64 bits", raw)
}

// completeSchema gives a database what today's Python Trackio gives each that it
// opens for writing: the tables that are missing, the newer columns of its own
// tables, the indexes. Tables of older generations keep their shape.
func (w *writer) completeSchema(ctx context.Context) error {
	for _, statement := range ddl {
		if strings.HasPrefix(statement.text, "CREATE TABLE") {
			if _, err := w.exec(ctx, statement.text); err != nil {
				return err
			}
		}
	}
	for _, later := range laterColumns {
		if t := w.schema.tables[later.table]; t != nil && !t.has[later.column] {
			if _, err := w.exec(ctx, "ALTER TABLE "+later.table+" ADD COLUMN "+later.add); err != nil {
				return err
			}
		}
	}
	var err error
	if w.schema, err = readSchema(ctx, w); err != nil {
		return err
	}
	for _, statement := range ddl {
		if strings.HasPrefix(statement.text, "CREATE TABLE") {
			continue
		}
		text := statement.text
		if t := w.schema.tables[statement.table]; !t.has["run_id"] {
			text = nameKeyed(text)
		}
		if _, err := w.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}
