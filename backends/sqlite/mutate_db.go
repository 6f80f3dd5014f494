package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
)

// writer is one transaction on one database file, the only file that it writes.
// It begins with the write lock taken, and commits durably: a commit that
// returned nil survives a power failure.
type writer struct {
	*sql.Conn
	db      *sql.DB
	path    string
	schema  *schema
	open    bool // a transaction is under way
	wal     bool // the database has a write-ahead log
	release func()
}

// openWriter opens the database at path and begins. create makes a new file.
// The caller holds the project's lock, or is the only one to know the file.
func (b *Backend) openWriter(ctx context.Context, path string, create bool) (*writer, error) {
	mode, settings := "mode=rw", environmentSettings(os.Getenv)
	if create {
		mode, settings = "mode=rwc", append(settings, "PRAGMA journal_mode = "+journalMode(os.Getenv))
	}
	return startWriter(ctx, path, mode, append(settings, b.cacheSetting()))
}

// openScratch makes a new database for this process alone, which nobody reads
// after a crash.
func (b *Backend) openScratch(ctx context.Context, path string) (*writer, error) {
	return startWriter(ctx, path, "mode=rwc", []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", b.cacheSetting()})
}

// writerCache is how many KiB of changed pages a writer holds; more is spilled to
// the WAL.
const writerCache = 16 << 10

func (b *Backend) cacheSetting() string { return fmt.Sprintf("PRAGMA cache_size = -%d", b.cache) }

func startWriter(ctx context.Context, path, mode string, settings []string) (*writer, error) {
	w := &writer{path: path, release: holdLocks(path)}
	if err := w.begin(ctx, mode, settings); err != nil {
		w.close()
		return nil, wrapErr(cause(ctx, err), "open for writing", path)
	}
	return w, nil
}

func (w *writer) begin(ctx context.Context, mode string, settings []string) (err error) {
	if w.db, err = sql.Open("sqlite", dsn(w.path, mode)); err != nil {
		return err
	}
	if w.Conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	settings = append([]string{
		fmt.Sprintf("PRAGMA busy_timeout = %d", lockBudget.Milliseconds()),
		"PRAGMA synchronous = FULL",
		"PRAGMA secure_delete = OFF", // as Python's connections: freed pages are not overwritten
	}, settings...)
	for _, text := range append(settings, "BEGIN IMMEDIATE") {
		if _, err := w.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	w.open = true
	var journal string
	if err := w.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return err
	}
	w.wal = journal == "wal"
	w.schema, err = readSchema(ctx, w)
	return err
}

// journalMode is the mode of a new database: Python's, or what the environment
// asks both programs for.
func journalMode(getenv func(string) string) string {
	switch mode := strings.ToUpper(getenv("TRACKIO_SQLITE_JOURNAL_MODE")); mode {
	case "DELETE", "TRUNCATE", "PERSIST":
		return mode
	}
	return "WAL" // MEMORY and OFF would lose data in a crash
}

// environmentSettings are the settings of Python's connections that the
// environment overrides and that do not weaken what a commit promises.
func environmentSettings(getenv func(string) string) []string {
	var settings []string
	if strings.EqualFold(getenv("TRACKIO_SQLITE_SYNCHRONOUS"), "EXTRA") {
		settings = append(settings, "PRAGMA synchronous = EXTRA")
	}
	switch store := strings.ToUpper(getenv("TRACKIO_SQLITE_TEMP_STORE")); store {
	case "DEFAULT", "FILE", "MEMORY":
		settings = append(settings, "PRAGMA temp_store = "+store)
	}
	return settings
}

// attach lets the transaction read another database as src. It is never written.
func (w *writer) attach(ctx context.Context, path string) error {
	_, err := w.ExecContext(ctx, "ATTACH DATABASE ? AS src", dsn(path, "mode=rw"))
	return wrapErr(cause(ctx, err), "read", path)
}

// commit makes the transaction durable.
func (w *writer) commit(ctx context.Context) error {
	if _, err := w.ExecContext(ctx, "COMMIT"); err != nil {
		return wrapErr(cause(ctx, err), "write", w.path)
	}
	w.open = false
	return nil
}

// close ends the transaction, undoing what was not committed, and the connection.
func (w *writer) close() (err error) {
	if w.Conn != nil {
		if w.open {
			_, _ = w.ExecContext(context.Background(), "ROLLBACK")
		}
		_ = w.Conn.Close()
		w.Conn = nil
	}
	if w.db != nil {
		err = w.db.Close()
	}
	if w.release != nil {
		w.release()
		w.release = nil // closing twice does no harm
	}
	return err
}

// exec runs a statement and returns the number of rows that it changed.
func (w *writer) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := w.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, wrapErr(cause(ctx, err), "write", w.path)
	}
	return result.RowsAffected()
}

// quote makes an SQL identifier of a name that came out of a schema.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// rowCounts are numbers of rows by table.
type rowCounts map[string]int64

// tableCounts counts the rows of a run in every table of runs; in names the
// database, "main" or "src".
func tableCounts(ctx context.Context, q querier, in string, s *schema, id string) (rowCounts, error) {
	counts := rowCounts{}
	for _, name := range runTables {
		t := s.table(name)
		if t == nil {
			continue
		}
		var n int64
		query := fmt.Sprintf("SELECT count(*) FROM %s.%s WHERE %s = ?", in, quote(name), t.key)
		if err := q.QueryRowContext(ctx, query, id).Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			counts[name] = n
		}
	}
	return counts, nil
}

// hasRun reports whether any table of a run's rows has the id.
func hasRun(ctx context.Context, q querier, s *schema, id string) (bool, error) {
	for _, name := range runTables {
		t := s.table(name)
		if t == nil || name == "pending_uploads" {
			continue
		}
		var found bool
		query := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM main.%s WHERE %s = ?)", quote(name), t.key)
		if err := q.QueryRowContext(ctx, query, id).Scan(&found); err != nil {
			return false, err
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

// runTables are the tables whose rows belong to a run and go where it goes, in
// the order in which they are written.
var runTables = [...]string{"configs", "metrics", "system_metrics", "alerts", "traces", "pending_uploads"}
