package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// querier is what reads need of a database: *sql.DB, *sql.Conn, *sql.Tx or an
// opened snapshot.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schema is what a database holds, read from the file itself: there is no
// version in it, and its three generations are never migrated.
type schema struct {
	tables map[string]*table // the tables that Trackio knows and this file has

	// key is the column of the metrics that identifies a run. In a database
	// keyed by "run_name" every table is matched by the name, also those that a
	// newer Trackio added with a run_id.
	key string

	strange []string // what this package does not know
}

// table is one table of a database.
type table struct {
	name    string
	columns []string // in the order of the table
	has     map[string]bool
	key     string          // the column that identifies a run; "" for tables without
	leading map[string]bool // columns that an index begins with
	pending bool            // a partial index holds the rows that have a space_id
}

// indexed reports that the rows of a run are found without reading the others.
func (t *table) indexed() bool { return t.leading[t.key] }

// known returns the columns of each table, of all generations together.
func known() map[string][]string {
	return map[string][]string{
		"metrics":            {"id", "run_id", "timestamp", "run_name", "step", "metrics", "log_id", "space_id"},
		"configs":            {"id", "run_id", "run_name", "config", "created_at"},
		"system_metrics":     {"id", "run_id", "timestamp", "run_name", "metrics", "log_id", "space_id"},
		"alerts":             {"id", "run_id", "timestamp", "run_name", "title", "text", "level", "step", "alert_id"},
		"traces":             {"id", "run_id", "timestamp", "run_name", "step", "key", "trace_index", "messages", "metadata", "search_text", "log_id", "space_id"},
		"project_metadata":   {"key", "value"},
		"pending_uploads":    {"id", "space_id", "run_id", "run_name", "step", "file_path", "relative_path", "created_at", "kind", "digest"},
		"artifacts":          {"id", "name", "type", "description", "created_at"},
		"artifact_versions":  {"id", "artifact_id", "version", "manifest_digest", "manifest", "metadata", "size_bytes", "producer_run_id", "producer_run_name", "created_at"},
		"artifact_aliases":   {"artifact_id", "alias", "artifact_version_id"},
		"run_artifact_links": {"id", "run_id", "run_name", "artifact_version_id", "direction", "created_at"},
	}
}

// required are the columns without which the rows of a table cannot be read.
func required() map[string][]string {
	return map[string][]string{
		"metrics":        {"id", "timestamp", "run_name", "step", "metrics"},
		"configs":        {"run_name", "config"},
		"system_metrics": {"id", "timestamp", "run_name", "metrics"},
		"alerts":         {"id", "timestamp", "run_name", "title"},
		"traces":         {"id", "timestamp", "run_name", "step", "key", "messages", "metadata"},
	}
}

// rowTables are the tables that hold the rows of a run, in the order of the
// record stream.
var rowTables = [...]string{"metrics", "system_metrics", "alerts", "traces"}

// readSchema reads the schema of a database. A file without any table of
// Trackio's is a project without runs. A view, a virtual table or a table
// without the needed columns under one of Trackio's names is no such file, and
// [trackio.ErrDataLoss].
func readSchema(ctx context.Context, q querier) (*schema, error) {
	s := &schema{tables: map[string]*table{}}
	names, err := s.readNames(ctx, q)
	if err != nil {
		return nil, err
	}
	columnsOf := known()
	for _, name := range names {
		columns, ok := columnsOf[name]
		if !ok {
			s.strange = append(s.strange, "table "+name)
			continue
		}
		t, err := readTable(ctx, q, name)
		if err != nil {
			return nil, err
		}
		for _, c := range t.columns {
			if !slices.Contains(columns, c) {
				s.strange = append(s.strange, "column "+c+" of "+name)
			}
		}
		for _, c := range required()[name] {
			if !t.has[c] {
				return nil, trackio.Errorf(trackio.ErrDataLoss, "table %s has no column %s", name, c)
			}
		}
		s.tables[name] = t
	}
	s.chooseKeys()
	slices.Sort(s.strange)
	return s, nil
}

// readNames returns the names of the tables, and notes triggers, which would
// act on what a mutation writes.
func (s *schema) readNames(ctx context.Context, q querier) ([]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE type <> 'index' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columnsOf := known()
	var names []string
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		virtual := strings.HasPrefix(strings.ToUpper(text), "CREATE VIRTUAL")
		switch _, ours := columnsOf[strings.ToLower(name)]; {
		case ours && (kind == "view" || virtual):
			return nil, trackio.Errorf(trackio.ErrDataLoss, "%s is a %s, not a table of Trackio's", name, map[bool]string{true: "virtual table", false: "view"}[virtual])
		case kind != "table":
			s.strange = append(s.strange, kind+" "+name)
		case !strings.HasPrefix(name, "sqlite_"):
			names = append(names, name)
		}
	}
	return names, rows.Err()
}

func readTable(ctx context.Context, q querier, name string) (*table, error) {
	rows, err := q.QueryContext(ctx, `SELECT name FROM pragma_table_xinfo(?) ORDER BY cid`, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	t := &table{name: name, has: map[string]bool{}, leading: map[string]bool{}}
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			return nil, err
		}
		t.columns = append(t.columns, column)
		t.has[column] = true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return t, t.readIndexes(ctx, q)
}

func (t *table) readIndexes(ctx context.Context, q querier) error {
	rows, err := q.QueryContext(ctx, `SELECT c.name, i.partial FROM pragma_index_list(?) i, pragma_index_info(i.name) c
		WHERE c.seqno = 0 AND c.name IS NOT NULL`, t.name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var column string
		var partial bool
		if err := rows.Scan(&column, &partial); err != nil {
			return err
		}
		if !partial {
			t.leading[column] = true
		} else if column == "space_id" {
			t.pending = true
		}
	}
	return rows.Err()
}

// chooseKeys settles by which column each table is matched.
func (s *schema) chooseKeys() {
	s.key = "run_id"
	if m := s.tables["metrics"]; m != nil {
		if !m.has["run_id"] {
			s.key = "run_name"
		}
	} else {
		for _, name := range [...]string{"configs", "system_metrics", "alerts", "traces"} {
			if t := s.tables[name]; t != nil && !t.has["run_id"] {
				s.key = "run_name"
			}
		}
	}
	for _, t := range s.tables {
		switch {
		case t.has[s.key]:
			t.key = s.key
		case t.has["run_name"]:
			// Names repeat among runs with ids: rows of such a table belong to no
			// run for certain.
			s.strange = append(s.strange, "table "+t.name+" without "+s.key)
		}
	}
}

// table returns a table that holds rows of runs, nil when the file has none.
func (s *schema) table(name string) *table {
	if t := s.tables[name]; t != nil && t.key != "" {
		return t
	}
	return nil
}

// unknown names the tables, columns, views and triggers that this package does
// not know, such as "table foo" and "column spans of traces".
func (s *schema) unknown() []string { return s.strange }

// column returns the name of a column, or NULL where the table lacks it.
func (t *table) column(name string) string {
	if t.has[name] {
		return name
	}
	return "NULL"
}
