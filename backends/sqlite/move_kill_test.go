//go:build kill && linux

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trackio-go/trackio/tests/tracer"
	"github.com/trackio-go/trackio/trackio"
)

// becomeTraced turns this binary into a program that a test kills.
func becomeTraced() { tracer.Become() }

const longRows = 300

// longRun makes a store with a run of many rows in p, beside a short one, and a
// project q with another. The rows are more than the writer of move-spilling holds,
// so that both databases get pages before either has a commit.
func longRun(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	for i := range longRows {
		p.exec("INSERT INTO metrics (run_id, timestamp, run_name, step, metrics, log_id) VALUES ('id-long', ?, 'long', ?, ?, ?)",
			fmt.Sprintf("2026-01-01T00:%02d:%02d+00:00", i/60, i%60), i, []byte(fmt.Sprintf(`{"v":%d,"text":"%s"}`, i, strings.Repeat("x", 200))), fmt.Sprint("l", i))
	}
	p.exec("INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('id-short', '2026-01-02T00:00:00+00:00', 'short', 0, CAST('{}' AS BLOB))")
	p.done()
	q := newProject(t, dir, "q", genTraces)
	q.exec("INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('id-other', '2026-01-02T00:00:00+00:00', 'other', 0, CAST('{}' AS BLOB))")
	q.done()
	return dir
}

// The rows of a long run are spilled to the WAL of the target while they are
// copied, and so is their deletion to the WAL of the source, at the same time. The
// move is killed before every call of either thread. Whenever that is, the run is
// whole in exactly one place for our readers, whole in one of the databases at
// least for SQLite, and the next change leaves it in one.
func TestKilledLongMove(t *testing.T) {
	store := longRun(t)
	want := digestOfRun(t, store, "p", "id-long")
	run := func(t *testing.T, dir string, when int) tracer.Result {
		t.Helper()
		r, err := tracer.Run(t.TempDir(), []string{os.Args[0], dir}, append(os.Environ(), "TRACKIO_SQLITE_TEST_HELPER=move-spilling"), 0, when)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Killed && r.Code != 0 {
			t.Fatalf("exit code %d\n%s", r.Code, r.Output)
		}
		return r
	}
	copyOf := func(t *testing.T) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(dir, os.DirFS(store)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	calls := run(t, copyOf(t), 0).Calls[0]
	var kills, spilled, next atomic.Int64
	t.Run("kills", func(t *testing.T) {
		for range 2 * runtime.NumCPU() {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for {
					dir, when := copyOf(t), int(next.Add(1))
					killed := run(t, dir, when).Killed
					if killed {
						kills.Add(1)
					}
					begun, err := checkKilledMove(t, dir, want, killed)
					if err != nil {
						t.Errorf("killed before call %d: %v", when, err)
					}
					if begun {
						spilled.Add(1)
					}
					_ = os.RemoveAll(dir)
					if !killed && when > calls {
						return
					}
				}
			})
		}
	})
	t.Logf("%d kills, of which %d found the source's deletion under way", kills.Load(), spilled.Load())
	if int(kills.Load()) < calls*9/10 || spilled.Load() < 20 {
		t.Errorf("the %d calls of a move were not met", calls)
	}
}

// checkKilledMove looks at what a kill has left, and at what the next change makes
// of it. begun: the source's database had got pages of its deletion, and no commit.
func checkKilledMove(t *testing.T, dir, want string, killed bool) (begun bool, err error) {
	b, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		return false, err
	}
	defer b.Close()
	where := func() (string, error) {
		var found []string
		for _, project := range []string{"p", "q"} {
			for run, err := range b.ListRuns(t.Context(), project, trackio.ListOptions{}) {
				if err != nil {
					return "", err
				}
				if run.ID == "id-long" {
					found = append(found, project)
					if got := digestOfRun(t, dir, project, run.ID); got != want {
						return "", fmt.Errorf("the run in %s is not whole", project)
					}
				}
			}
		}
		if len(found) != 1 {
			return "", fmt.Errorf("our readers find the run in %d places: %v", len(found), found)
		}
		return found[0], nil
	}
	_, err = os.Stat(b.db("p") + "-wal")
	hadWAL := err == nil
	place, err := where()
	if err != nil {
		return false, err
	}
	if !killed && place != "q" {
		return false, errors.New("the move was called done, and has not happened")
	}
	ctx := context.Background()
	rows := map[string]int64{}
	for _, project := range []string{"p", "q"} {
		err := b.read(ctx, project, func(s *snapshot) error {
			counts, err := tableCounts(ctx, s, "main", s.schema, "id-long")
			rows[project] = counts["metrics"]
			return err
		})
		if err != nil {
			return false, err
		}
		if n := rows[project]; n != 0 && n != longRows {
			return false, fmt.Errorf("SQLite finds %d of the rows in %s", n, project)
		}
	}
	if rows["p"]+rows["q"] == 0 {
		return false, errors.New("SQLite finds the run nowhere")
	}
	wal, err := os.Stat(b.db("p") + "-wal")
	if hadWAL != (err == nil) {
		return false, fmt.Errorf("reading took the WAL away: %w", err)
	}
	begun = hadWAL && wal.Size() > 0 && rows["p"] > 0

	then := time.Now().Add(-time.Hour)
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		files, _ := filepath.Glob(filepath.Join(globEscape(dir), ".trackio-go", pattern))
		for _, file := range files {
			_ = os.Chtimes(file, then, then)
		}
	}
	var unsettled string
	noted := trackio.WithNotes(ctx, func(note string) { unsettled = note })
	if err := b.DeleteRun(noted, trackio.RunRef{Project: "p", ID: "id-short"}, trackio.DeleteOptions{}); err != nil || unsettled != "" {
		return begun, fmt.Errorf("the next change: %s %w", unsettled, err)
	}
	after, err := where()
	if err != nil || after != place {
		return begun, fmt.Errorf("the run was in %s and is in %s after the next change: %w", place, after, err)
	}
	for _, project := range []string{"p", "q"} {
		checkDatabase(t, b.db(project))
		held, err := b.holds(ctx, trackio.RunRef{Project: project, ID: "id-long"})
		if err != nil || held != (project == place) {
			return begun, fmt.Errorf("after the next change %s holds the run: %v, %w", project, held, err)
		}
	}
	left, err := b.journals()
	if err != nil || len(left) > 0 {
		return begun, fmt.Errorf("journals are left: %v, %w", left, err)
	}
	return begun, nil
}

// digestOfRun is the content digest of a run.
func digestOfRun(t *testing.T, dir, project, id string) string {
	t.Helper()
	b := openDir(t, dir)
	digest := trackio.NewDigest()
	for record, err := range b.ExportRun(t.Context(), trackio.RunRef{Project: project, ID: id}, trackio.ExportOptions{NoBodies: true}) {
		if err != nil {
			t.Fatal(err)
		}
		digest.Add(record)
	}
	return digest.Sum()
}
