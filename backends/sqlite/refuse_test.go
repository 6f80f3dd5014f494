package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// A change that is refused changes nothing, and says why and what to do.
func TestRefusedChanges(t *testing.T) {
	ref := trackio.RunRef{Project: "p", ID: "id-1"}
	r := fakeRun{"id-1", "run"}
	move := func(ctx context.Context, b *Backend) error {
		_, err := b.MoveRun(ctx, ref, "q", trackio.MoveOptions{})
		return err
	}
	force := func(ctx context.Context, b *Backend) error {
		_, err := b.MoveRun(ctx, ref, "q", trackio.MoveOptions{Force: true})
		return err
	}
	remove := func(ctx context.Context, b *Backend) error {
		return b.DeleteRun(ctx, ref, trackio.DeleteOptions{})
	}
	rename := func(ctx context.Context, b *Backend) error {
		_, err := b.RenameRun(ctx, ref, "new", trackio.RenameOptions{})
		return err
	}
	young := time.Now().UTC().Add(-5 * time.Second).Format("2006-01-02T15:04:05.000000+00:00")
	tests := []struct {
		name string
		make func(p *fakeProject)
		do   func(context.Context, *Backend) error
		kind error
		says []string // of the message and the hint
	}{
		{"move of a live run", func(p *fakeProject) { p.metric(r, young, 1, `{}`) }, move, trackio.ErrConflict, []string{"run", "still being written to", "force"}},
		{"delete of a live run", func(p *fakeProject) { p.metric(r, young, 1, `{}`) }, remove, trackio.ErrConflict, []string{"still being written to"}},
		{"rename of a live run", func(p *fakeProject) { p.system(r, young, `{}`) }, rename, trackio.ErrConflict, []string{"still being written to"}},
		{"rows in the inbox", func(p *fakeProject) { writeFragment(p, "id-1") }, move, trackio.ErrConflict, []string{"inbox", "dashboard", "force"}},
		{"rows in the inbox, delete", func(p *fakeProject) { writeFragment(p, "id-1") }, remove, trackio.ErrConflict, []string{"inbox"}},
		{"rows in the inbox, rename", func(p *fakeProject) { writeFragment(p, "id-1") }, rename, trackio.ErrConflict, []string{"inbox"}},
		{"undelivered rows", func(p *fakeProject) { p.exec("UPDATE metrics SET space_id = 's'") }, move, trackio.ErrConflict, []string{"sync", "force"}},
		{"unknown column", func(p *fakeProject) {
			p.exec("ALTER TABLE metrics ADD COLUMN spans TEXT")
			p.exec("UPDATE metrics SET spans = 'x'")
		}, force, errors.ErrUnsupported, []string{"p.db", "column spans of metrics", "update"}},
		{"unknown table", func(p *fakeProject) {
			p.exec("CREATE TABLE novelties (run_id TEXT, what TEXT)")
			p.exec("INSERT INTO novelties VALUES ('id-1', 'x')")
		}, remove, errors.ErrUnsupported, []string{"p.db", "table novelties"}},
		{"trigger", func(p *fakeProject) {
			p.exec("CREATE TRIGGER gotcha AFTER DELETE ON metrics BEGIN DELETE FROM configs; END")
		}, remove, errors.ErrUnsupported, []string{"trigger gotcha"}},
		{"payload that is no JSON", func(p *fakeProject) { p.metric(r, stampAt(9), 9, `{"file_path": oops`) }, move, trackio.ErrDataLoss, []string{"oops"}},
		{"the id is taken in the target", func(p *fakeProject) {
			q := newProject(p.t, p.dir, "q", genTraces)
			q.alert(r, stampAt(0), "t", "warn", nil)
			q.done()
		}, force, trackio.ErrExists, []string{"q", "id-1", "delete"}},
		{"a log id is taken in the target", func(p *fakeProject) {
			p.exec("UPDATE metrics SET log_id = 'l1'")
			q := newProject(p.t, p.dir, "q", genTraces)
			q.metric(fakeRun{"id-2", "x"}, stampAt(0), 0, `{}`)
			q.exec("UPDATE metrics SET log_id = 'l1'")
			q.done()
		}, move, trackio.ErrConflict, []string{"q.db", "already"}},
		{"the target is no database", func(p *fakeProject) { writeFile(p.t, filepath.Join(p.dir, "q.db"), strings.Repeat("garbage ", 500)) },
			move, trackio.ErrDataLoss, []string{"q.db"}},
		{"an unknown run", func(p *fakeProject) { p.exec("DELETE FROM metrics"); p.exec("DELETE FROM configs") }, move, trackio.ErrNotFound, []string{"id-1", "p"}},
		{"the same project", func(*fakeProject) {}, func(ctx context.Context, b *Backend) error {
			_, err := b.MoveRun(ctx, ref, "p", trackio.MoveOptions{})
			return err
		}, trackio.ErrInvalid, []string{"already"}},
		{"a target that is a registry", func(*fakeProject) {}, func(ctx context.Context, b *Backend) error {
			_, err := b.MoveRun(ctx, ref, "registry-x", trackio.MoveOptions{})
			return err
		}, trackio.ErrInvalid, []string{"registry-x"}},
		{"an old revision", func(*fakeProject) {}, func(ctx context.Context, b *Backend) error {
			return b.DeleteRun(ctx, ref, trackio.DeleteOptions{IfRevision: "old"})
		}, trackio.ErrConflict, []string{"has changed"}},
		{"an id that the target cannot keep", func(p *fakeProject) {
			q := newProject(p.t, p.dir, "q", genNames)
			q.metric(fakeRun{"", "x"}, stampAt(0), 0, `{}`)
			q.done()
		}, move, errors.ErrUnsupported, []string{"old Trackio"}},
		{"an import that fails half-way", func(*fakeProject) {}, func(ctx context.Context, b *Backend) error {
			_, err := b.ImportRun(ctx, trackio.RunRef{Project: "q", ID: "new"}, failingStream(trackio.ErrUnavailable))
			return err
		}, trackio.ErrUnavailable, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			p := newProject(t, dir, "p", genTraces)
			p.metric(r, stampAt(0), 0, `{"img":`+p.media("p/run/0/a.png", "a")+`}`)
			p.config(r, `{"lr":1}`, stampAt(0))
			test.make(p)
			p.done()
			before := contentOf(t, dir)
			b := openDir(t, dir)
			err := test.do(t.Context(), b)
			if !errors.Is(err, test.kind) || trackio.KindOf(err) != test.kind {
				t.Errorf("error %v of kind %v, want %v", err, trackio.KindOf(err), test.kind)
			}
			for _, word := range test.says {
				if text := fmt.Sprint(err, " ", trackio.HintOf(err)); !strings.Contains(text, word) {
					t.Errorf("%q does not say %q", text, word)
				}
			}
			b.Close()
			if after := contentOf(t, dir); after != before {
				t.Errorf("the store changed:\n%s\nwas\n%s", after, before)
			}
			checkNothingLeft(t, dir)
		})
	}
}

// contentOf lists what a store holds: the rows of its databases and its files.
// Lock files are no content; an open WAL is not one either.
func contentOf(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	for _, path := range databases(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), "SQLite format 3") {
			lines = append(lines, filepath.Base(path)+" "+sha256Hex(string(data)))
			continue
		}
		for _, table := range append(runTables[:], "run_artifact_links", "artifact_versions", "novelties") {
			columns := queryAll(t, path, "", "SELECT name FROM pragma_table_xinfo('"+table+"') ORDER BY cid")
			if len(columns) == 0 {
				continue
			}
			for i, c := range columns {
				columns[i] = "quote(" + c + ")"
			}
			for _, row := range queryAll(t, path, table, "SELECT "+strings.Join(columns, "||','||")+" FROM "+table+" ORDER BY rowid") {
				lines = append(lines, filepath.Base(path)+" "+table+" "+row)
			}
		}
	}
	for _, f := range mediaFiles(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, "media", f))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "media "+f+" "+string(data))
	}
	return strings.Join(lines, "\n")
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func writeFragment(p *fakeProject, id string) {
	p.t.Helper()
	writeFile(p.t, filepath.Join(p.dir, "inbox", "w1", "00000000.jsonl"),
		`{"v":1,"kind":"metric","project":"`+p.project+`","run":"run","run_id":"`+id+`","metrics":{"a":1},"step":5,"timestamp":"`+stampAt(5)+`","config":null,"log_id":"f1"}`+"\n")
}

// failingStream is a run with a media file that ends in an error.
func failingStream(err error) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		_ = yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "x"}}, nil) &&
			yield(&trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: stampAt(0), Metrics: []byte(`{"i":` + reference("0/a.png") + `}`)}}}, nil) &&
			yield(&trackio.Media{Path: "0/a.png", Size: 1, Body: strings.NewReader("a")}, nil) &&
			yield(nil, err)
	}
}

// A project that somebody keeps locked is given up in time, with nothing done.
func TestLockedProject(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"img":`+p.media("p/run/0/a.png", "a")+`}`)
	p.done()
	b := openDir(t, dir)
	lock, err := tryLockFile(b.lock("q"))
	if err != nil {
		t.Fatal(err)
	}
	before := contentOf(t, dir)
	start := time.Now()
	_, err = b.MoveRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{})
	if took := time.Since(start); !errors.Is(err, trackio.ErrConflict) || !strings.Contains(err.Error(), `"q"`) || took > 9*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	if after := contentOf(t, dir); after != before {
		t.Errorf("the store changed:\n%s\nwas\n%s", after, before)
	}
	checkNothingLeft(t, dir)
	lock.release()
	if _, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{}); err != nil {
		t.Errorf("with the lock free: %v", err)
	}
}

// A database that another program holds locked, without Trackio's lock, too.
func TestLockedDatabase(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"a":1}`)
	p.exec("BEGIN IMMEDIATE")
	b := openDir(t, dir)
	err := b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, trackio.DeleteOptions{})
	if !errors.Is(err, trackio.ErrConflict) || !strings.Contains(err.Error(), "p.db") {
		t.Errorf("got %v", err)
	}
	p.exec("ROLLBACK")
	if err := b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, trackio.DeleteOptions{}); err != nil {
		t.Errorf("with the database free: %v", err)
	}
	checkNothingLeft(t, dir)
}
