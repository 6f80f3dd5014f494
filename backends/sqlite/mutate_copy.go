package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// transplant copies the rows of a run from the attached database src into the
// database of a writer, within its transaction.
type transplant struct {
	w      *writer
	from   *schema // of src
	fromID string
	toID   string
	want   rowCounts // the run's rows in src
	// media gives each reference its new file_path, nil when none changes.
	media map[string]string
	hurry *hurry
}

// run copies every table and returns how many rows each got. Row order, ids of
// logs and alerts, space ids, stamps and payload bytes stay; only the run's id
// and the media references may change.
func (t *transplant) run(ctx context.Context) (rowCounts, error) {
	got := rowCounts{}
	for _, name := range runTables {
		if t.want[name] == 0 {
			continue
		}
		target, err := t.prepare(ctx, name)
		if err != nil {
			return nil, err
		}
		if got[name], err = t.copyTable(ctx, t.from.table(name), target); err != nil {
			return nil, err
		}
		if got[name] != t.want[name] {
			return nil, trackio.Errorf(trackio.ErrDataLoss, "%d of %d rows of %s were copied into %s", got[name], t.want[name], name, t.w.path).
				WithHint("nothing was changed; check the database with: sqlite3 FILE 'PRAGMA integrity_check'")
		}
	}
	return got, t.rewrite(ctx, got)
}

// prepare makes sure that the target has the table, and the columns that the
// run's rows need, adding what a newer release of Python Trackio would add.
func (t *transplant) prepare(ctx context.Context, name string) (*table, error) {
	target, source := t.w.schema.tables[name], t.from.tables[name]
	if target == nil {
		if err := t.w.createTable(ctx, name); err != nil {
			return nil, err
		}
	} else {
		for _, later := range laterColumns {
			if later.table != name || !source.has[later.column] || target.has[later.column] {
				continue
			}
			for _, text := range []string{"ALTER TABLE " + quote(name) + " ADD COLUMN " + later.add, later.index} {
				if _, err := t.w.exec(ctx, text); err != nil {
					return nil, err
				}
			}
		}
	}
	var err error
	if t.w.schema, err = readSchema(ctx, t.w); err != nil {
		return nil, err
	}
	return t.w.schema.tables[name], nil
}

// createTable creates a table and its indexes as Python Trackio does. In a
// database keyed by names the tables that Trackio had then get the old shape.
func (w *writer) createTable(ctx context.Context, name string) error {
	for _, statement := range ddl {
		if statement.table != name {
			continue
		}
		text := statement.text
		if w.schema.key == "run_name" && name != "traces" && name != "pending_uploads" {
			text = nameKeyed(text)
		}
		if _, err := w.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// nameKeyed turns a statement of today's schema into that of the generation
// without run ids.
func nameKeyed(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		return strings.TrimSpace(line) == "run_id TEXT NOT NULL,"
	})
	return strings.ReplaceAll(strings.Join(lines, "\n"), "(run_id", "(run_name")
}

// copyTable copies the run's rows of one table in the order in which they were
// written.
func (t *transplant) copyTable(ctx context.Context, source, target *table) (int64, error) {
	var into, values []string
	var args []any
	for _, column := range source.columns {
		switch {
		case column == "id" && source.name != "traces", column == "run_id", !target.has[column]:
			continue
		}
		into, values = append(into, quote(column)), append(values, quote(column))
	}
	if target.has["run_id"] {
		into = append(into, "run_id")
		if target.key == "run_id" || !source.has["run_id"] {
			values, args = append(values, "?"), append(args, t.toID)
		} else {
			values = append(values, "run_id") // beside the name that is the key here
		}
	}
	query := fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %s FROM src.%s",
		quote(target.name), strings.Join(into, ", "), strings.Join(values, ", "), quote(source.name))
	n, err := t.insert(ctx, source, query, args)
	if errors.Is(err, trackio.ErrConflict) && strings.Contains(err.Error(), "UNIQUE") {
		return 0, trackio.Errorf(trackio.ErrConflict, "rows of run %q are in %s already, under another run: %w", t.fromID, t.w.path, err).
			WithHint("an earlier move by another program may have left a copy there; delete the copy that is not wanted")
	}
	return n, err
}

// insert runs the copying statement in the order of the rows. Their numbers are
// sorted alone, in a subquery: rows that went through a sorter with all they hold
// would take more memory, and be copied twice.
func (t *transplant) insert(ctx context.Context, source *table, query string, args []any) (int64, error) {
	return t.hurry.over(ctx, source, t.fromID, func(where string, ofRun ...any) (int64, error) {
		rows := fmt.Sprintf("SELECT rowid FROM src.%s WHERE %s", quote(source.name), where)
		return t.w.exec(ctx, query+" WHERE rowid IN ("+rows+") ORDER BY rowid", append(slices.Clone(args), ofRun...)...)
	})
}

// payloads are the columns that can hold media references, by table.
func payloads(name string) []string {
	switch name {
	case "metrics":
		return []string{"metrics"}
	case "system_metrics":
		return []string{"metrics"}
	case "traces":
		return []string{"messages", "metadata"}
	}
	return nil
}

// rewrite gives the media references of the copied rows their new paths.
func (t *transplant) rewrite(ctx context.Context, copied rowCounts) error {
	if len(t.media) == 0 {
		return nil
	}
	for _, name := range runTables {
		if copied[name] == 0 {
			continue
		}
		for _, column := range payloads(name) {
			if err := t.rewriteColumn(ctx, t.w.schema.tables[name], column); err != nil {
				return err
			}
		}
	}
	if copied["traces"] > 0 && t.w.schema.tables["traces"].has["search_text"] {
		return t.rewriteSearchText(ctx)
	}
	return nil
}

// rewriteBatch is how many rows are held at once while they are rewritten.
const rewriteBatch = 256

// rewriteColumn rewrites one payload column, reading a batch of rows before it
// writes them: a statement must not see its own changes.
func (t *transplant) rewriteColumn(ctx context.Context, table *table, column string) error {
	query := fmt.Sprintf("SELECT rowid, %[1]s, typeof(%[1]s) = 'blob' FROM main.%[2]s WHERE %[3]s = ? AND rowid > ? AND instr(%[1]s, '%[4]s') ORDER BY rowid LIMIT %[5]d",
		quote(column), quote(table.name), table.key, refMark, rewriteBatch)
	update := fmt.Sprintf("UPDATE main.%s SET %s = ? WHERE rowid = ?", quote(table.name), quote(column))
	return t.eachBatch(ctx, query, update, func(payload []byte) ([]byte, bool, error) {
		return rewriteRefs(payload, func(path string) string {
			if to, ok := t.media[path]; ok {
				return to
			}
			return path
		})
	})
}

// rewriteSearchText follows the references in the text by which Python finds
// traces: it holds every string of the messages.
func (t *transplant) rewriteSearchText(ctx context.Context) error {
	pairs := make([]string, 0, 2*len(t.media))
	// A path before those that it begins with would hide them.
	for _, from := range slices.Backward(slices.Sorted(maps.Keys(t.media))) {
		pairs = append(pairs, from, t.media[from])
	}
	replacer := strings.NewReplacer(pairs...)
	query := fmt.Sprintf("SELECT rowid, search_text, typeof(search_text) = 'blob' FROM main.traces WHERE %s = ? AND rowid > ? ORDER BY rowid LIMIT %d",
		t.w.schema.tables["traces"].key, rewriteBatch)
	return t.eachBatch(ctx, query, "UPDATE main.traces SET search_text = ? WHERE rowid = ?", func(text []byte) ([]byte, bool, error) {
		out := replacer.Replace(string(text))
		return []byte(out), out != string(text), nil
	})
}

func (t *transplant) eachBatch(ctx context.Context, query, update string, change func([]byte) ([]byte, bool, error)) error {
	type row struct {
		id   int64
		data []byte
		blob bool
	}
	for last := int64(-1 << 62); ; {
		rows, err := t.w.QueryContext(ctx, query, t.toID, last)
		if err != nil {
			return wrapErr(err, "read", t.w.path)
		}
		var batch []row
		for rows.Next() {
			var r row
			if err := rows.Scan(&r.id, &r.data, &r.blob); err != nil {
				return errors.Join(wrapErr(err, "read", t.w.path), rows.Close())
			}
			batch = append(batch, r)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return wrapErr(err, "read", t.w.path)
		}
		for _, r := range batch {
			data, changed, err := change(r.data)
			if err != nil {
				return err
			}
			if !changed {
				continue
			}
			var value any = data
			if !r.blob {
				value = string(data)
			}
			if _, err := t.w.exec(ctx, update, value, r.id); err != nil {
				return err
			}
		}
		if len(batch) < rewriteBatch {
			return nil
		}
		last = batch[len(batch)-1].id
	}
}

// removeRows deletes the run's rows from a writer's database. Artifacts are the
// project's and stay; the links of the run to them go, and versions that it made
// no longer name it.
func (w *writer) removeRows(ctx context.Context, id string, h *hurry) (rowCounts, error) {
	removed := rowCounts{}
	for _, name := range runTables {
		t := w.schema.table(name)
		if t == nil {
			continue
		}
		n, err := h.over(ctx, t, id, func(where string, ofRun ...any) (int64, error) {
			return w.exec(ctx, fmt.Sprintf("DELETE FROM main.%s WHERE %s", quote(name), where), ofRun...)
		})
		if err != nil {
			return nil, err
		}
		if n > 0 {
			removed[name] = n
		}
	}
	if t := w.schema.table("run_artifact_links"); t != nil {
		n, err := w.exec(ctx, fmt.Sprintf("DELETE FROM main.run_artifact_links WHERE %s = ?", t.key), id)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			removed[t.name] = n
		}
	}
	if t := w.schema.tables["artifact_versions"]; t != nil && t.has["producer_"+w.schema.key] {
		query := fmt.Sprintf("UPDATE main.artifact_versions SET producer_run_id = NULL, producer_run_name = NULL WHERE producer_%s = ?", w.schema.key)
		n, err := w.exec(ctx, query, id)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			removed[t.name] = n
		}
	}
	return removed, nil
}
