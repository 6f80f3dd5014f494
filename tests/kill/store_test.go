//go:build kill && linux

package kill

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// bystanders are the ids of runs that no change is about, in all scenes.
var bystanders = map[string]bool{"id-2": true, "id-4": true, "id-8": true, "id-9": true, "beside": true, unrelated.ID: true, steady.ID: true}

// builder makes a Trackio directory.
type builder struct {
	t   *testing.T
	dir string
}

// at is the timestamp of a row, some seconds after a fixed moment.
func at(seconds int) string {
	return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC).Format("2006-01-02T15:04:05+00:00")
}

func openStore(t *testing.T, dir string) *sqlite.Backend {
	t.Helper()
	b, err := sqlite.Open(context.Background(), sqlite.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// file writes a media file and returns the JSON of a reference to it.
func (s builder) file(path, content string) string {
	s.t.Helper()
	name := filepath.Join(s.dir, "media", filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		s.t.Fatal(err)
	}
	return reference(path)
}

func reference(path string) string {
	return `{"_type":"trackio.image","file_path":"` + path + `","caption":null}`
}

// small stores a run with one row and one file in a project, which it creates in
// today's schema if need be.
func (s builder) small(ref trackio.RunRef, name string) {
	s.t.Helper()
	b := openStore(s.t, s.dir)
	defer b.Close()
	_, err := b.ImportRun(context.Background(), ref, func(yield func(trackio.Record, error) bool) {
		body := "file of " + ref.ID
		for _, r := range []trackio.Record{
			&trackio.Header{RunInfo: trackio.RunInfo{Name: name}, Kinds: trackio.AllKinds},
			&trackio.Metrics{Rows: []trackio.MetricsRow{{
				Timestamp: at(10), Metrics: []byte(`{"img":` + reference("0/a.png") + `}`), LogID: ref.Project + ref.ID,
			}}},
			&trackio.Media{Path: "0/a.png", Size: int64(len(body)), Body: strings.NewReader(body)},
		} {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// database opens a project's database as Python Trackio does.
func (s builder) database(project string) *sql.DB {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, project+".db")+"?_pragma=journal_mode(wal)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		s.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func (s builder) exec(db *sql.DB, query string, args ...any) {
	s.t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		s.t.Fatalf("%.80s: %v", query, err)
	}
}

// subject writes the run that everything is about, beside another of its name
// that shares a file with it. The last rows stay in the WAL until the returned
// database is closed, as under a living process.
func (s builder) subject() *sql.DB {
	s.t.Helper()
	s.small(trackio.RunRef{Project: "p", ID: "id-2"}, "beside")
	db := s.database("p")
	metric := func(id, name string, second, step int, payload string) {
		s.exec(db, "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics, log_id) VALUES (?, ?, ?, ?, ?, ?)",
			id, at(second), name, step, []byte(payload), fmt.Sprint(id, " ", step))
	}
	s.exec(db, "INSERT INTO configs (run_id, run_name, config, created_at) VALUES ('id-1', 'run', ?, ?)", []byte(`{"lr":0.1}`), at(0))
	metric("id-1", "run", 1, 0, `{"loss":1.0,"img":`+s.file("p/run/0/a.png", "content a")+`}`)
	metric("id-1", "run", 2, 1, `{"loss":0.5,"img":`+s.file("p/run/1/b.png", strings.Repeat("content b ", 5_000))+`,"lost":`+reference("p/run/1/lost.png")+`}`)
	metric("id-1", "run", 3, 2, `{"n":9007199254740993,"img":`+s.file("p/run/2/shared.png", "shared")+`}`)
	s.exec(db, "INSERT INTO system_metrics (run_id, timestamp, run_name, metrics, log_id) VALUES ('id-1', ?, 'run', ?, 's-1')", at(1), []byte(`{"gpu":0.5}`))
	s.exec(db, "INSERT INTO alerts (run_id, timestamp, run_name, title, level, step, alert_id) VALUES ('id-1', ?, 'run', 'spike', 'warn', 1, 'a-1')", at(2))
	s.exec(db, "INSERT INTO traces (id, run_id, timestamp, run_name, step, key, messages, metadata, search_text) VALUES ('id-1:t', 'id-1', ?, 'run', 2, 'chat', ?, ?, 'user p/run/0/a.png')",
		at(3), []byte(`[{"content":[`+reference("p/run/0/a.png")+`]}]`), []byte(`{}`))
	s.exec(db, "INSERT INTO artifacts (name, type, created_at) VALUES ('model', 'model', ?)", at(3))
	s.exec(db, "INSERT INTO artifact_versions (artifact_id, version, manifest_digest, manifest, size_bytes, producer_run_id, producer_run_name, created_at) VALUES (1, 0, 'd', '{}', 1, 'id-1', 'run', ?)", at(3))
	s.exec(db, "INSERT INTO run_artifact_links (run_id, run_name, artifact_version_id, direction, created_at) VALUES ('id-1', 'run', 1, 'output', ?)", at(3))
	metric("id-4", "run", 5, 2, `{"img":`+reference("p/run/2/shared.png")+`,"own":`+s.file("p/run/2/own.png", "own")+`}`)
	return db
}

// named writes the run and another into a database as Python Trackio 0.9 made
// them: without run ids, and with the project's name as it was typed in paths.
func (s builder) named() *sql.DB {
	s.t.Helper()
	db := s.database("p")
	for _, statement := range []string{
		"CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL)",
		"CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_name TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE(run_name))",
		"CREATE INDEX idx_metrics_run_step ON metrics(run_name, step)",
		"CREATE INDEX idx_configs_run_name ON configs(run_name)",
		"CREATE INDEX idx_metrics_run_timestamp ON metrics(run_name, timestamp)",
	} {
		s.exec(db, statement)
	}
	metric := func(name string, second, step int, payload string) {
		s.exec(db, "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)", at(second), name, step, []byte(payload))
	}
	s.exec(db, "INSERT INTO configs (run_name, config, created_at) VALUES ('run', ?, ?)", []byte(`{"lr":0.1}`), at(0))
	for step, content := range []string{"content a", "content b", "content c"} {
		metric("run", step, step, fmt.Sprintf(`{"loss":%d.0,"img":%s}`, step, s.file(fmt.Sprintf("p./run/%d/a.png", step), content)))
	}
	metric("beside", 5, 0, `{"img":`+s.file("p./beside/0/a.png", "beside")+`}`)
	return db
}

// others writes the project in which the next change deletes a run.
func (s builder) others() {
	s.small(unrelated, "gone")
	s.small(steady, "stays")
}

// copyTree copies a directory.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// copyDatabases copies the databases of a store alone, to be opened by SQLite
// without changing the store.
func copyDatabases(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o777); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(from, "*.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(file)), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// age makes what lies in our own directory old, as if some minutes had passed:
// what is young may still be about to be locked, and is left alone.
func age(t *testing.T, dir string) {
	t.Helper()
	then := time.Now().Add(-10 * time.Minute)
	err := filepath.WalkDir(filepath.Join(dir, ".trackio-go"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}
