package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// One broken file does not spoil the others, and every error has its kind and
// names the file.
func TestBrokenDatabases(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "good", genTraces)
	fillProject(p)
	p.done()
	whole, err := os.ReadFile(filepath.Join(dir, "good.db"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("garbage.db", []byte(strings.Repeat("this is no database\n", 300)))
	write("cut.db", whole[:len(whole)/2/4096*4096])
	torn := slices.Clone(whole)
	for i := 4096; i < len(torn); i++ {
		torn[i] ^= 0x5a
	}
	write("torn.db", torn)
	for name, ddl := range map[string]string{
		"view":    `CREATE VIEW metrics AS SELECT 1 AS id, '' AS timestamp, '' AS run_name, 1 AS step, '{}' AS metrics`,
		"virtual": `CREATE VIRTUAL TABLE metrics USING fts5(run_name, "timestamp", step, value)`,
		"columns": `CREATE TABLE metrics (run_id TEXT, value TEXT)`,
	} {
		db, err := sql.Open("sqlite", dsn(filepath.Join(dir, name+".db"), ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(ddl); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	if err := os.Symlink("/dev/null", filepath.Join(dir, "device.db")); err != nil {
		t.Fatal(err)
	}
	b := openDir(t, dir)
	want := []string{"columns", "cut", "device", "garbage", "good", "torn", "view", "virtual"}
	if got, err := b.projects(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("projects %q, %v; want %q", got, err, want)
	}
	for _, project := range want {
		if project == "good" {
			continue
		}
		_, err := b.listRuns(t.Context(), project, trackio.ListOptions{Counts: true})
		if trackio.KindOf(err) != trackio.ErrDataLoss {
			t.Errorf("%s: %v (kind %v)", project, err, trackio.KindOf(err))
		} else if project != "device" && !strings.Contains(err.Error(), filepath.Join(dir, project+".db")) {
			t.Errorf("%s: the error does not name the file: %v", project, err)
		}
	}
	if n := len(mustExport(t, b, "good", "id-a").metrics); n != 5 {
		t.Errorf("the good project has %d rows", n)
	}
}

func TestEmptyDatabases(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "zero.db"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, dir, "other", genTraces)
	p.exec("DROP TABLE metrics")
	p.alert(fakeRun{"x", "run"}, stampAt(1), "a", "warn", nil)
	p.done()
	b := openDir(t, dir)
	if runs := listAll(t, b, "zero"); len(runs) != 0 {
		t.Errorf("runs %v", runs)
	}
	if runs := listAll(t, b, "other"); len(runs) != 1 || runs[0].ID != "x" {
		t.Errorf("runs %v", runs)
	}
	if _, err := b.GetRun(t.Context(), trackio.RunRef{Project: "zero", ID: "x"}); !errors.Is(err, trackio.ErrNotFound) {
		t.Error(err)
	}
}

// A row that cannot be read ends the stream with an error that names it.
func TestBrokenRows(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(p *fakeProject, r fakeRun)
		want  string
	}{
		{"metrics", func(p *fakeProject, r fakeRun) { p.metric(r, stampAt(9), 9, `{"x":`) }, "row 2 of table metrics"},
		{"reference", func(p *fakeProject, r fakeRun) { p.metric(r, stampAt(9), 9, `{"file_path":NaN}`) }, "row 2 of table metrics"},
		{"system metrics", func(p *fakeProject, r fakeRun) { p.system(r, stampAt(9), `no`) }, "row 1 of table system_metrics"},
		{"trace", func(p *fakeProject, r fakeRun) { p.trace(r, "t", stampAt(9), 1, `[`, "") }, "row 1 of table traces"},
		{"config", func(p *fakeProject, r fakeRun) { p.config(r, `{`, "") }, "row 1 of table configs"},
		{"step", func(p *fakeProject, r fakeRun) {
			p.insert("metrics", r, "timestamp step metrics", stampAt(9), "nine", []byte(`{}`))
		}, `"nine"`},
		{"payload is a number", func(p *fakeProject, r fakeRun) {
			p.insert("metrics", r, "timestamp step metrics", stampAt(9), 9, 1.5)
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "demo", genTraces)
			r := fakeRun{"x", "run"}
			p.metric(r, stampAt(1), 1, `{"ok":1}`)
			p.metric(fakeRun{"y", "fine"}, stampAt(0), 1, `{"ok":1}`)
			p.exec("UPDATE metrics SET id = 3 WHERE run_id = 'y'")
			p.exec("DELETE FROM sqlite_sequence")
			p.exec("UPDATE metrics SET id = 100 WHERE run_id = 'y'")
			p.exec("INSERT INTO sqlite_sequence VALUES ('metrics', 1)")
			p.exec("UPDATE metrics SET id = 1 WHERE run_id = 'x'")
			p.exec("DELETE FROM metrics WHERE run_id = 'y'")
			test.spoil(p, r)
			p.metric(fakeRun{"y", "fine"}, stampAt(0), 1, `{"ok":1}`)
			p.done()
			b := openDir(t, dir)
			x, err := export(t.Context(), b, trackio.RunRef{Project: "demo", ID: "x"}, trackio.ExportOptions{})
			if test.want == "" { // a column of text takes a number as its text, which is JSON
				if err != nil || string(x.metrics[1].Metrics) != "1.5" {
					t.Errorf("%v, %+v", err, x)
				}
				return
			}
			if trackio.KindOf(err) != trackio.ErrDataLoss || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "demo.db") {
				t.Errorf("error %v (kind %v), want %s", err, trackio.KindOf(err), test.want)
			}
			if x := mustExport(t, b, "demo", "y"); len(x.metrics) != 1 {
				t.Errorf("the other run has %d rows", len(x.metrics))
			}
		})
	}
}

func TestMediaThatCannotBeRead(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, media, file string) error
		want    error // nil: missing
	}{
		{"absent", func(_ *testing.T, _, file string) error { return os.Remove(file) }, nil},
		{"no media directory", func(_ *testing.T, media, _ string) error { return os.RemoveAll(media) }, nil},
		{"a file where its directory was", func(_ *testing.T, _, file string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(file)), os.WriteFile(filepath.Dir(file), nil, 0o666))
		}, nil},
		{"directory", func(_ *testing.T, _, file string) error {
			return errors.Join(os.Remove(file), os.Mkdir(file, 0o777))
		}, trackio.ErrDataLoss},
		{"link out of the store", func(t *testing.T, _, file string) error {
			outside := filepath.Join(t.TempDir(), "secret")
			return errors.Join(os.WriteFile(outside, []byte("secret"), 0o666), os.Remove(file), os.Symlink(outside, file))
		}, trackio.ErrPermission},
		{"directory is a link out of the store", func(t *testing.T, _, file string) error {
			outside := t.TempDir()
			return errors.Join(os.WriteFile(filepath.Join(outside, "x.png"), []byte("secret"), 0o666),
				os.RemoveAll(filepath.Dir(file)), os.Symlink(outside, filepath.Dir(file)))
		}, trackio.ErrPermission},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "demo", genIDs)
			p.metric(fakeRun{"x", "run"}, stampAt(1), 1, `{"i":`+p.media("demo/run/1/x.png", "pixels")+`}`)
			p.done()
			media := filepath.Join(dir, "media")
			if err := test.prepare(t, media, filepath.Join(media, "demo", "run", "1", "x.png")); err != nil {
				t.Fatal(err)
			}
			b := openDir(t, dir)
			for _, noBodies := range []bool{false, true} {
				x, err := export(t.Context(), b, trackio.RunRef{Project: "demo", ID: "x"}, trackio.ExportOptions{NoBodies: noBodies})
				switch {
				case test.want == nil && (err != nil || x.media["1/x.png"] != "missing"):
					t.Errorf("%v, %+v", err, x)
				case test.want != nil && trackio.KindOf(err) != test.want:
					t.Errorf("error %v (kind %v), want %v", err, trackio.KindOf(err), test.want)
				}
			}
		})
	}
}

func TestLinksInsideTheStoreAndForeignPaths(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genIDs)
	r := fakeRun{"x", "team/run"}
	p.media("demo/shared/real.png", "real")
	p.media(`demo/team/run/1/win.png`, "from windows")
	p.media("demo/team/run/2/escaped.png", "escaped")
	p.media(`my demo/team/run/3/a\b.png`, "literal backslash")
	p.metric(r, stampAt(1), 1, `{"link":`+reference("demo/team/run/0/link.png")+`,"win":`+reference(`demo\team\run\1\win.png`)+
		`,"esc":{"_type":"trackio.image","file_path":"demo\/team\/run\/2\/escaped.png"}`+
		`,"out":`+reference("../../etc/passwd")+`,"abs":`+reference("/etc/passwd")+`,"other":`+reference("else/run/0/x.png")+`}`)
	p.done()
	link := filepath.Join(dir, "media", "demo", "team", "run", "0")
	if err := errors.Join(os.MkdirAll(link, 0o777), os.Symlink("../../../shared/real.png", filepath.Join(link, "link.png"))); err != nil {
		t.Fatal(err)
	}
	x := mustExport(t, openDir(t, dir), "demo", "x")
	want := map[string]string{"0/link.png": "real", "1/win.png": "from windows", "2/escaped.png": "escaped"}
	for path, content := range want {
		if x.bodies[path] != content {
			t.Errorf("%s holds %q, want %q", path, x.bodies[path], content)
		}
	}
	if len(x.media) != len(want) {
		t.Errorf("media %v", x.media)
	}
	for _, path := range []string{`"/../../etc/passwd"`, `"//etc/passwd"`, `"/else/run/0/x.png"`, `"2/escaped.png"`} {
		if !strings.Contains(string(x.metrics[0].Metrics), `"file_path":`+path) {
			t.Errorf("no %s in %s", path, x.metrics[0].Metrics)
		}
	}
}

func TestUnknownRuns(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.done()
	before := treeOf(t, dir)
	b := openDir(t, dir)
	for _, ref := range []trackio.RunRef{{Project: "demo", ID: "nope"}, {Project: "demo"}, {Project: "nope", ID: "id-a"}, {Project: "De mo", ID: "id-a"}} {
		_, err1 := b.GetRun(t.Context(), ref)
		_, err2 := export(t.Context(), b, ref, trackio.ExportOptions{})
		_, err3 := b.SummarizeRun(t.Context(), ref)
		for _, err := range []error{err1, err2, err3} {
			if trackio.KindOf(err) != trackio.ErrNotFound || trackio.HintOf(err) == "" {
				t.Errorf("%v: %v", ref, err)
			}
		}
	}
	sameTree(t, dir, before)
}

func TestCancelledAndClosed(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.done()
	b := openDir(t, dir)
	ref := trackio.RunRef{Project: "demo", ID: "id-a"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range b.ExportRun(ctx, ref, trackio.ExportOptions{}) {
		n, last = n+1, err
		cancel()
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d items, the last %v", n, last)
	}
	n = 0
	for _, err := range b.ExportRun(t.Context(), ref, trackio.ExportOptions{}) {
		n, last = n+1, err
		b.Close()
	}
	if n != 2 || !errors.Is(last, errClosed) {
		t.Errorf("%d items, the last %v", n, last)
	}
	if _, err := b.GetRun(t.Context(), ref); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
