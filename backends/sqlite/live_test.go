package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// startHelper starts this binary as a helper process and returns its output, of
// which the first line has been read: the helper is ready.
func startHelper(t *testing.T, name string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "TRACKIO_SQLITE_TEST_HELPER="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("helper %s: %q, %v", name, line, err)
	}
	return cmd, lines
}

// writeRows is the helper "write": like a training process it keeps the database
// open and adds rows to two runs until it is killed.
func writeRows(args []string) error {
	var t helperT
	p := &fakeProject{t: &t, dir: args[0], project: "demo", gen: genTraces}
	var err error
	if p.db, err = openForTest(filepath.Join(args[0], "demo.db")); err != nil {
		return err
	}
	for i := 0; ; i++ {
		p.metric(fakeRun{"live", "live"}, stampAt(100+i), i, fmt.Sprintf(`{"i":%d,"pad":%q}`, i, strings.Repeat("x", 500)))
		if i == 3 {
			fmt.Println("ready")
		}
		if args[1] == "once" && i == 3 {
			time.Sleep(time.Hour) // idle, to be killed
		}
	}
}

// helperT lets the builder of databases run outside a test.
type helperT struct{ testing.TB }

func (*helperT) Helper() {}
func (*helperT) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

// A killed writer leaves -wal and -shm; its committed rows are read, and neither
// file changes.
func TestReadingAfterAKill(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.done()
	writer, _ := startHelper(t, "write", dir, "once")
	b := openDir(t, dir)
	if n := len(mustExport(t, b, "demo", "live").metrics); n != 4 {
		t.Errorf("beside the living writer: %d rows", n)
	}
	if !inUse(filepath.Join(dir, "demo.db")) {
		t.Error("the database of a living writer does not count as in use")
	}
	if err := writer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Wait()
	if inUse(filepath.Join(dir, "demo.db")) {
		t.Error("the database of a killed writer counts as in use")
	}
	before := treeOf(t, dir)
	if !strings.Contains(before, "demo.db-wal") || !strings.Contains(before, "demo.db-shm") {
		t.Fatalf("the writer left\n%s", before)
	}
	if out := readAll(t, dir); !strings.Contains(out, `run live "live"`) || !strings.Contains(out, "{Metrics:4 ") {
		t.Errorf("read\n%s", out)
	}
	sameTree(t, dir, before)
}

// Beside a writer that never rests every stream is one state of the run: its
// rows are a prefix without gaps, and what the header says is there.
func TestReadingBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	newProject(t, dir, "demo", genTraces).done()
	startHelper(t, "write", dir, "forever")
	b := openDir(t, dir)
	for range 20 {
		x := mustExport(t, b, "demo", "live")
		for i, row := range x.metrics {
			if row.Step != int64(i) {
				t.Fatalf("row %d has step %d", i, row.Step)
			}
		}
		if got := *x.header.LastStep + 1; int64(len(x.metrics)) != got {
			t.Fatalf("%d rows, the header says %d", len(x.metrics), got)
		}
		if runs := listAll(t, b, "demo"); len(runs) != 1 || runs[0].Counts.Metrics <= *x.header.LastStep {
			t.Fatalf("runs %+v", runs)
		}
	}
}

// A database that nobody had open is written to in the middle of a stream.
func TestWriterBeginsDuringAStream(t *testing.T) {
	tests := []struct {
		name   string
		change func(p *fakeProject)
		want   error
	}{
		{"another run", func(p *fakeProject) { p.metric(fakeRun{"other", "other"}, stampAt(9), 1, `{"a":1}`) }, nil},
		{"more rows of the run", func(p *fakeProject) { p.metric(fakeRun{"x", "run"}, stampAt(0), 1, `{"a":1}`) }, nil},
		{"the run is deleted", func(p *fakeProject) { p.exec("DELETE FROM metrics WHERE run_id = 'x'") }, trackio.ErrConflict},
		{"the run is renamed", func(p *fakeProject) { p.exec("UPDATE metrics SET run_name = 'new' WHERE run_id = 'x'") }, trackio.ErrConflict},
		{"a config comes", func(p *fakeProject) { p.config(fakeRun{"x", "run"}, `{}`, stampAt(1)) }, trackio.ErrConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "demo", genTraces)
			const rows = 3000
			for i := range rows {
				p.metric(fakeRun{"x", "run"}, stampAt(1+i), i, fmt.Sprintf(`{"i":%d,"pad":%q}`, i, strings.Repeat("y", 300)))
			}
			p.done()
			b := openDir(t, dir)
			next, batches := 0, 0
			var failed error
			for r, err := range b.ExportRun(t.Context(), trackio.RunRef{Project: "demo", ID: "x"}, trackio.ExportOptions{}) {
				if err != nil {
					failed = err
					break
				}
				m, ok := r.(*trackio.Metrics)
				if !ok {
					continue
				}
				for _, row := range m.Rows {
					if row.Step != int64(next) {
						t.Fatalf("row %d has step %d", next, row.Step)
					}
					next++
				}
				if batches++; batches == 2 {
					w := &fakeProject{t: t, dir: dir, project: "demo", gen: genTraces}
					if w.db, err = openForTest(filepath.Join(dir, "demo.db")); err != nil {
						t.Fatal(err)
					}
					release := holdLocks(filepath.Join(dir, "demo.db"))
					test.change(w)
					w.done() // checkpoints into the database file
					release()
				}
			}
			if trackio.KindOf(failed) != test.want || test.want == nil && (failed != nil || next != rows) {
				t.Errorf("%d rows in %d batches, %v; want %v", next, batches, failed, test.want)
			}
		})
	}
}

// A read without locks must not drop the locks of this process's writers.
func TestLocklessReadKeepsLocks(t *testing.T) {
	live, dir := t.TempDir(), t.TempDir()
	p := newProject(t, live, "demo", genTraces)
	fillProject(p)
	copyTree(t, live, dir, "-shm") // to be read without locks
	p.done()
	path := filepath.Join(dir, "demo.db")
	b := openDir(t, dir)
	s, err := b.openRead(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.watched) != 2 {
		t.Fatalf("watched %v", s.watched)
	}
	release := holdLocks(path)
	writer, err := openForTest(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), "TRACKIO_SQLITE_TEST_HELPER=lock-file")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the lock on the database file is gone: %s", out)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	release()
	if len(holders.files) != 0 {
		t.Errorf("still held: %v", holders.files)
	}
}

func TestStaleReadIsRepeated(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.done()
	b := openDir(t, dir)
	tries := 0
	err := b.read(t.Context(), "demo", func(s *snapshot) error {
		if tries++; tries > 2 {
			return nil
		}
		w := &fakeProject{t: t, dir: dir, project: "demo", gen: genTraces}
		var err error
		if w.db, err = openForTest(s.path); err != nil {
			return err
		}
		w.alert(fakeRun{"x", "x"}, stampAt(tries), "again", "warn", nil)
		w.done()
		return errors.New("what a torn page might cause")
	})
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.read(ctx, "demo", func(*snapshot) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// lockFileHelper is the helper "lock-file": it fails when it can lock the whole
// database file, because then nobody else has a lock there.
func lockFileHelper(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if lockable(f) {
		return errors.New("nobody holds a lock")
	}
	return nil
}
