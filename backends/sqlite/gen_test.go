package sqlite

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// generation is a schema that some release of Python Trackio wrote.
type generation string

const (
	genNames  generation = "0.9"  // keyed by name: metrics and configs alone
	genIDs    generation = "0.25" // run ids, system metrics, alerts, log ids
	genTraces generation = "0.36" // today's, with traces and artifacts
)

var generations = []generation{genNames, genIDs, genTraces}

// ddl returns the statements with which that release creates a database.
func (g generation) ddl() string {
	if g == genNames {
		return `
CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_name TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE(run_name));
CREATE INDEX idx_metrics_run_step ON metrics(run_name, step);
CREATE INDEX idx_configs_run_name ON configs(run_name);
CREATE INDEX idx_metrics_run_timestamp ON metrics(run_name, timestamp);`
	}
	text := `
CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL, log_id TEXT, space_id TEXT);
CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, run_name TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE(run_id));
CREATE TABLE system_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, metrics TEXT NOT NULL, log_id TEXT, space_id TEXT);
CREATE TABLE project_metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pending_uploads (id INTEGER PRIMARY KEY AUTOINCREMENT, space_id TEXT NOT NULL, run_id TEXT, run_name TEXT, step INTEGER, file_path TEXT NOT NULL, relative_path TEXT, created_at TEXT NOT NULL);
CREATE TABLE alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, title TEXT NOT NULL, text TEXT, level TEXT NOT NULL DEFAULT 'warn', step INTEGER, alert_id TEXT);
CREATE INDEX idx_metrics_run_step ON metrics(run_id, step);
CREATE INDEX idx_metrics_run_timestamp ON metrics(run_id, timestamp);
CREATE INDEX idx_configs_run_name ON configs(run_name);
CREATE INDEX idx_system_metrics_run_timestamp ON system_metrics(run_id, timestamp);
CREATE INDEX idx_alerts_run ON alerts(run_id);
CREATE INDEX idx_alerts_timestamp ON alerts(timestamp);
CREATE UNIQUE INDEX idx_alerts_alert_id ON alerts(alert_id) WHERE alert_id IS NOT NULL;
CREATE UNIQUE INDEX idx_metrics_log_id ON metrics(log_id) WHERE log_id IS NOT NULL;
CREATE INDEX idx_metrics_pending ON metrics(space_id) WHERE space_id IS NOT NULL;
CREATE UNIQUE INDEX idx_system_metrics_log_id ON system_metrics(log_id) WHERE log_id IS NOT NULL;
CREATE INDEX idx_system_metrics_pending ON system_metrics(space_id) WHERE space_id IS NOT NULL;`
	if g == genTraces {
		text += `
CREATE TABLE traces (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, key TEXT NOT NULL, trace_index INTEGER, messages TEXT NOT NULL, metadata TEXT NOT NULL, search_text TEXT NOT NULL, log_id TEXT, space_id TEXT);
ALTER TABLE pending_uploads ADD COLUMN kind TEXT NOT NULL DEFAULT 'media';
ALTER TABLE pending_uploads ADD COLUMN digest TEXT;
CREATE TABLE artifacts (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL, description TEXT, created_at TEXT NOT NULL);
CREATE TABLE artifact_versions (id INTEGER PRIMARY KEY AUTOINCREMENT, artifact_id INTEGER NOT NULL REFERENCES artifacts(id), version INTEGER NOT NULL, manifest_digest TEXT NOT NULL, manifest TEXT NOT NULL, metadata TEXT, size_bytes INTEGER NOT NULL, producer_run_id TEXT, producer_run_name TEXT, created_at TEXT NOT NULL, UNIQUE(artifact_id, version), UNIQUE(artifact_id, manifest_digest));
CREATE TABLE artifact_aliases (artifact_id INTEGER NOT NULL REFERENCES artifacts(id), alias TEXT NOT NULL, artifact_version_id INTEGER NOT NULL REFERENCES artifact_versions(id), PRIMARY KEY (artifact_id, alias));
CREATE TABLE run_artifact_links (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT, run_name TEXT, artifact_version_id INTEGER NOT NULL REFERENCES artifact_versions(id), direction TEXT NOT NULL CHECK(direction IN ('input', 'output')), created_at TEXT NOT NULL);
CREATE INDEX idx_traces_run_step ON traces(run_id, step);
CREATE INDEX idx_traces_run_timestamp ON traces(run_id, timestamp);
CREATE INDEX idx_traces_search ON traces(search_text);`
	}
	return text
}

// fakeProject is a project database as Python Trackio would have written it.
type fakeProject struct {
	t       testing.TB
	dir     string
	project string
	gen     generation
	db      *sql.DB
}

// fakeRun is whose rows are written.
type fakeRun struct{ id, name string }

// newProject creates the database of a project. It is in WAL mode and open until
// done is called, as under a living Python process.
func newProject(t testing.TB, dir, project string, gen generation) *fakeProject {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	db, err := openForTest(filepath.Join(dir, project+".db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p := &fakeProject{t: t, dir: dir, project: project, gen: gen, db: db}
	p.exec(gen.ddl())
	return p
}

// openForTest opens a database as a writing Python process does, only faster.
func openForTest(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "_pragma=journal_mode(wal)&_pragma=synchronous(off)"))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// done closes the database cleanly.
func (p *fakeProject) done() {
	p.t.Helper()
	if err := p.db.Close(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *fakeProject) exec(query string, args ...any) {
	p.t.Helper()
	if _, err := p.db.Exec(query, args...); err != nil {
		p.t.Fatalf("%.80s: %v", query, err)
	}
}

// insert writes a row; JSON goes in as []byte, that is, as a BLOB. In a database
// keyed by names the run's id and the newer columns are left out.
func (p *fakeProject) insert(table string, r fakeRun, columns string, values ...any) {
	p.t.Helper()
	names := append([]string{"run_name"}, strings.Fields(columns)...)
	values = append([]any{r.name}, values...)
	if p.gen != genNames {
		names, values = append(names, "run_id"), append(values, cmp.Or(r.id, r.name))
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(values)), ",")
	p.exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(names, ","), marks), values...)
}

func (p *fakeProject) metric(r fakeRun, at string, step int, payload string) {
	p.t.Helper()
	p.insert("metrics", r, "timestamp step metrics", at, step, []byte(payload))
}

func (p *fakeProject) config(r fakeRun, payload, at string) {
	p.t.Helper()
	p.insert("configs", r, "config created_at", []byte(payload), at)
}

func (p *fakeProject) system(r fakeRun, at, payload string) {
	p.t.Helper()
	p.insert("system_metrics", r, "timestamp metrics", at, []byte(payload))
}

func (p *fakeProject) alert(r fakeRun, at, title, level string, step any) {
	p.t.Helper()
	p.insert("alerts", r, "timestamp title text level step alert_id", at, title, nil, level, step, "alert "+at+title)
}

func (p *fakeProject) trace(r fakeRun, id, at string, step int, messages, search string) {
	p.t.Helper()
	p.insert("traces", r, "id timestamp step key messages metadata search_text", id, at, step, "trace", []byte(messages), []byte(`{"ok":true}`), search)
}

// media writes a file below media/ and returns the JSON of a reference to it.
func (p *fakeProject) media(filePath, content string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, "media", filepath.FromSlash(filePath))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		p.t.Fatal(err)
	}
	return reference(filePath)
}

// reference returns a media reference as Python Trackio writes it.
func reference(filePath string) string {
	out := append([]byte(`{"_type":"trackio.image","file_path":`), appendJSONString(nil, filePath)...)
	return string(append(out, `,"caption":null}`...))
}

// stampAt returns the timestamp of a row, some seconds after a fixed moment.
func stampAt(seconds int) string {
	return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC).Format("2006-01-02T15:04:05+00:00")
}

func sha256Hex(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// fillProject writes one project of every kind of run: with media and a config,
// two of one name where ids allow it, one without a config, and, where the
// tables exist, one that has only alerts and one with traces.
func fillProject(p *fakeProject) {
	p.t.Helper()
	a, b := fakeRun{"id-a", "train"}, fakeRun{"id-b", "train"}
	if p.gen == genNames {
		b.name = "second"
	}
	p.config(a, `{"lr":0.1,"big":4611686018427387904}`, stampAt(0))
	for i := range 5 {
		img := p.media(fmt.Sprintf("%s/train/%d/a%d.png", p.project, i, i), fmt.Sprint("file ", i))
		p.metric(a, stampAt(10+i), i, fmt.Sprintf(`{"loss":%d.0,"n":9007199254740993,"img":%s}`, i, img))
	}
	p.metric(b, stampAt(20), 0, `{"acc":1,"img":`+p.media(p.project+"/"+b.name+"/0/b.png", "other")+`}`)
	p.metric(fakeRun{"id-c", "team/bare"}, stampAt(5), 7, `{"x":"NaN"}`)
	if p.gen == genNames {
		return
	}
	p.system(a, stampAt(11), `{"gpu":0.5}`)
	p.alert(a, stampAt(12), "spike", "warn", 2)
	p.alert(fakeRun{"id-d", "only alerts"}, stampAt(30), "lost", "error", nil)
	if p.gen == genTraces {
		path := p.project + "/train/4/t.png"
		p.trace(a, "id-a:t", stampAt(14), 4, `[{"role":"user","content":[`+p.media(path, "trace file")+`]}]`, "id-a:t user "+path+" what")
	}
}
