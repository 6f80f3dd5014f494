package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// storeDirs are directories with every kind of run: those that Python Trackio
// wrote, where they are at hand, and one of each generation made here.
func storeDirs(t *testing.T) map[string]string {
	t.Helper()
	dirs := fixtureDirs(t)
	if dirs == nil {
		dirs = map[string]string{}
	}
	for _, gen := range generations {
		dir := filepath.Join(t.TempDir(), "store")
		for _, project := range []string{"one", "two"} {
			p := newProject(t, dir, project, gen)
			fillProject(p)
			if gen != genNames && project == "two" { // ids of logs are unique in a store
				p.exec("UPDATE metrics SET log_id = log_id || '-2', run_id = run_id || '-2' WHERE true")
				for _, table := range []string{"configs", "system_metrics", "alerts"} {
					p.exec("UPDATE " + table + " SET run_id = run_id || '-2' WHERE true")
				}
				p.exec("UPDATE alerts SET alert_id = alert_id || '-2' WHERE true")
				if gen == genTraces {
					p.exec("UPDATE traces SET run_id = run_id || '-2', id = id || '-2' WHERE true")
				}
			}
			p.done()
		}
		dirs["made "+string(gen)] = dir
	}
	return dirs
}

func TestMoveEverythingThenDelete(t *testing.T) {
	for name, dir := range storeDirs(t) {
		for _, into := range []string{"a new project", "an old project"} {
			t.Run(name+" into "+into, func(t *testing.T) {
				dir := copyStore(t, dir)
				b := openDir(t, dir)
				if err := b.drain(t.Context(), ""); err != nil { // else the first change does
					t.Fatal(err)
				}
				projects := projectsOf(t, b)
				target := "gathered"
				if into == "an old project" {
					target = projects[0]
				}
				inv := newInventory(t, dir)
				n := 0
				for _, project := range projects {
					for _, run := range listAll(t, b, project) {
						if project == target {
							continue
						}
						n++
						moveOne(t, b, run, target)
						inv.check(t)
					}
				}
				if n == 0 && len(projects) > 1 {
					t.Fatal("nothing was moved")
				}
				for _, project := range projectsOf(t, b) {
					for _, run := range listAll(t, b, project) {
						if err := b.DeleteRun(t.Context(), run.RunRef, trackio.DeleteOptions{}); err != nil {
							t.Fatalf("delete %s/%s: %v", project, run.ID, err)
						}
						inv.deleted(run)
						inv.check(t)
					}
				}
				if left := mediaFiles(t, dir); len(left) > 0 && !slices.Equal(left, inv.alien) {
					t.Errorf("files left after everything was deleted: %v", left)
				}
				checkNothingLeft(t, dir)
			})
		}
	}
}

// moveOne moves a run and compares it with what it was.
func moveOne(t *testing.T, b *Backend, run trackio.RunInfo, target string) {
	t.Helper()
	before := mustExport(t, b, run.Project, run.ID)
	moved, err := b.MoveRun(t.Context(), run.RunRef, target, trackio.MoveOptions{})
	if errors.Is(err, trackio.ErrExists) || errors.Is(err, errors.ErrUnsupported) {
		if after := mustExport(t, b, run.Project, run.ID); after.digest != before.digest {
			t.Fatalf("a refused move has changed %s/%s", run.Project, run.ID)
		}
		return // a project of old Trackio, which knows names alone
	}
	if err != nil {
		t.Fatalf("move %s/%s: %v", run.Project, run.ID, err)
	}
	if moved.Name != run.Name || !moved.CreatedAt.Equal(run.CreatedAt) || moved.Project != target || moved.Revision == "" {
		t.Errorf("moved run is %+v, was %+v", moved, run)
	}
	after := mustExport(t, b, target, moved.ID)
	if after.digest != before.digest {
		t.Errorf("%s/%s: the content changed with the move:\n%+v\n%+v", run.Project, run.ID, before, after)
	}
	if !maps.Equal(after.media, before.media) {
		t.Errorf("media %v, were %v", after.media, before.media)
	}
	if _, err := b.GetRun(t.Context(), run.RunRef); !errors.Is(err, trackio.ErrNotFound) {
		t.Errorf("the run is in its old project still: %v", err)
	}
}

// inventory is what must stay true of a store while runs are moved and deleted.
type inventory struct {
	dir    string
	logIDs map[string]int // of all databases together
	other  map[string]string
	alien  []string // files that were nobody's from the beginning
}

func newInventory(t *testing.T, dir string) *inventory {
	t.Helper()
	inv := &inventory{dir: dir, other: map[string]string{}}
	inv.logIDs = inv.countLogIDs(t)
	used := inv.references(t)
	for _, f := range mediaFiles(t, dir) {
		if !used[f] {
			inv.alien = append(inv.alien, f)
		}
	}
	for _, db := range databases(t, dir) {
		inv.other[db] = otherTables(t, db)
	}
	return inv
}

// deleted: from now on only the run's own log ids may be missing.
func (inv *inventory) deleted(trackio.RunInfo) { inv.logIDs = nil }

func (inv *inventory) check(t *testing.T) {
	t.Helper()
	if inv.logIDs != nil {
		if now := inv.countLogIDs(t); !maps.Equal(now, inv.logIDs) {
			t.Fatalf("log ids changed: %d, were %d", len(now), len(inv.logIDs))
		}
	}
	used := inv.references(t)
	files := mediaFiles(t, inv.dir)
	for _, f := range files {
		if !used[f] && !slices.Contains(inv.alien, f) {
			t.Fatalf("%s belongs to nobody", f)
		}
	}
	for f := range used {
		if _, err := os.Stat(filepath.Join(inv.dir, "media", f)); err != nil && !strings.Contains(f, "gone") {
			t.Fatalf("a row refers to %s: %v", f, err)
		}
	}
	for _, db := range databases(t, inv.dir) {
		if before, ok := inv.other[db]; ok && before != otherTables(t, db) {
			t.Fatalf("%s: tables that are not the run's changed:\n%s\nwere\n%s", db, otherTables(t, db), before)
		}
		checkDatabase(t, db)
	}
}

func (inv *inventory) countLogIDs(t *testing.T) map[string]int {
	counts := map[string]int{}
	for _, path := range databases(t, inv.dir) {
		for _, table := range []string{"metrics", "system_metrics", "alerts", "traces"} {
			column := "log_id"
			if table == "alerts" {
				column = "alert_id"
			}
			for _, id := range queryAll(t, path, table, "SELECT "+column+" FROM "+table+" WHERE "+column+" IS NOT NULL") {
				counts[table+id]++
			}
		}
	}
	return counts
}

// references are the files that rows of all databases refer to.
func (inv *inventory) references(t *testing.T) map[string]bool {
	used := map[string]bool{}
	for _, path := range databases(t, inv.dir) {
		for _, table := range rowTables {
			for _, column := range payloads(table) {
				for _, payload := range queryAll(t, path, table, "SELECT "+column+" FROM "+table) {
					if err := findRefs([]byte(payload), func(text string) { used[cleanRef(text)] = true }); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	return used
}

// checkDatabase: SQLite finds it whole, and payloads are BLOBs as Python has them.
func checkDatabase(t *testing.T, path string) {
	t.Helper()
	if got := queryAll(t, path, "", "PRAGMA integrity_check"); !slices.Equal(got, []string{"ok"}) {
		t.Fatalf("%s: %v", path, got)
	}
	for _, table := range rowTables {
		for _, column := range payloads(table) {
			for _, kind := range queryAll(t, path, table, "SELECT DISTINCT typeof("+column+") FROM "+table) {
				if kind != "blob" {
					t.Fatalf("%s: %s.%s holds a %s", path, table, column, kind)
				}
			}
		}
	}
}

// otherTables dumps what is the project's and no run's.
func otherTables(t *testing.T, path string) string {
	var b strings.Builder
	for table, query := range map[string]string{
		"artifacts":         "SELECT id || name || type FROM artifacts",
		"artifact_versions": "SELECT id || artifact_id || version || manifest_digest || typeof(manifest) || manifest FROM artifact_versions",
		"artifact_aliases":  "SELECT artifact_id || alias FROM artifact_aliases",
		"project_metadata":  "SELECT key || value FROM project_metadata",
	} {
		for _, row := range queryAll(t, path, table, query) {
			fmt.Fprintln(&b, table, row)
		}
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// queryAll reads one column of a database as another program would. A table that
// the database does not have gives nothing.
func queryAll(t *testing.T, path, table, query string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "mode=rw"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if table != "" {
		var n int
		if err := db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = ?", table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return nil
		}
		if strings.Contains(query, "log_id") {
			if err := db.QueryRow("SELECT count(*) FROM pragma_table_info(?) WHERE name = 'log_id'", table).Scan(&n); err != nil || n == 0 {
				return nil
			}
		}
	}
	all, err := readStrings(t.Context(), db, query)
	if err != nil {
		t.Fatalf("%s: %s: %v", path, query, err)
	}
	return all
}

func databases(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(globEscape(dir), "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// mediaFiles lists the files below media/, slash-separated.
func mediaFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	root := filepath.Join(dir, "media")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkNothingLeft: no operation, lock of one, staging directory or temporary
// file is left.
func checkNothingLeft(t *testing.T, dir string) {
	t.Helper()
	for _, sub := range []string{"ops", "staging"} {
		entries, err := os.ReadDir(filepath.Join(dir, ".trackio-go", sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, entry := range entries {
			t.Errorf("left behind: .trackio-go/%s/%s", sub, entry.Name())
		}
	}
}

func projectsOf(t *testing.T, b *Backend) []string {
	t.Helper()
	var projects []string
	for project, err := range b.ListProjects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		projects = append(projects, project)
	}
	return projects
}

func copyStore(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, path := range databases(t, to) { // stamps younger than a tick make readers wait
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
