package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

// A writer that was killed before its first commit leaves a WAL in which there is
// nothing to find. It is not for a reader to remove it: a writer may have begun to
// use it since.
func TestReadingKeepsTheWAL(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	p.exec("INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('id', '2026-01-01T00:00:00+00:00', 'run', 0, CAST('{}' AS BLOB))")
	path := filepath.Join(dir, "p.db")
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	p.done()
	const header = 32
	if err := os.WriteFile(path+"-wal", wal[:header], 0o666); err != nil {
		t.Fatal(err)
	}
	before := treeOf(t, dir)
	if runs := listAll(t, openDir(t, dir), "p"); len(runs) != 1 {
		t.Errorf("%d runs, want 1", len(runs))
	}
	sameTree(t, dir, before)
}
