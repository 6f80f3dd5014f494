//go:build trainer && unix

// Package trainer puts processes that log as Python Trackio's training process
// does into the same projects in which runs are moved, renamed, imported and
// deleted. None of their rows may be lost, none may wait so long that Python
// would give it up, and nothing of ours may fail because they are there.
//
//	make trainer
//
// TRACKIO_TRAINER_SECONDS is for how long, 60 by default.
package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// patience is how long Python's training process waits for a lock.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(trainerVariable) != "" {
		if err := runTrainer(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("TRACKIO_TRAINER_SECONDS")
	if text == "" {
		text = "60"
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 5 {
		t.Fatalf("TRACKIO_TRAINER_SECONDS is %q, not a number of at least 5", text)
	}
	return time.Duration(seconds) * time.Second
}

func openStore(t *testing.T, dir string) *sqlite.Backend {
	t.Helper()
	b, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestBesideTraining(t *testing.T) {
	span := duration(t)
	dir := t.TempDir()
	trackioPath := filepath.Join(t.TempDir(), "trackio")
	if out, err := exec.Command("go", "build", "-o", trackioPath, "../../cmd/trackio").CombinedOutput(); err != nil {
		t.Fatalf("building trackio: %v\n%s", err, out)
	}
	b := openStore(t, dir)
	hands := map[string]hand{}
	for i := range 2 {
		hands[fmt.Sprintf("process-%d", i)] = inProcess{openStore(t, dir)}
		hands[fmt.Sprintf("program-%d", i)] = program{path: trackioPath, dir: dir, home: t.TempDir()}
	}
	// Some are named as the runs in training are, and so share directories.
	names := []string{"train", "other", "team/deep"}
	victims := map[string][]*victim{}
	for who := range hands {
		for i := range 3 {
			v := &victim{project: []string{"alpha", "beta"}[i%2], name: names[i], id: fmt.Sprintf("%s-%d", who, i), rows: 200 + 900*i}
			addVictim(t, dir, v, 5)
			var err error
			if v.content, err = contentOf(t.Context(), b, trackio.RunRef{Project: v.project, ID: v.id}); err != nil {
				t.Fatal(err)
			}
			victims[who] = append(victims[who], v)
		}
	}
	trainings := []*training{
		startTraining(t, dir, "alpha", "train", "live-1"),
		startTraining(t, dir, "beta", "train", "live-2"),
		startTraining(t, dir, "alpha", "train", "live-3"),
	}
	c := &tally{done: map[string]int{}}
	until := time.Now().Add(span)
	var work sync.WaitGroup
	for who, h := range hands {
		work.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				for _, v := range victims[who] {
					treat(t, b, h, v, c, n)
				}
				refuseLive(t, h, trainings[n%len(trainings)], c)
			}
		})
	}
	work.Wait()

	logged, found := 0, 0
	longest, batch := time.Duration(0), time.Duration(0)
	for _, run := range trainings {
		r := run.end(t)
		logged += r.Batches * batchRows
		found += checkTraining(t, dir, b, run, r)
		longest, batch = max(longest, r.Wait), max(batch, r.Batch)
	}
	for _, all := range victims {
		for _, v := range all {
			checkVictim(t, b, v)
		}
	}
	checkStore(t, dir, trainings, victims)
	t.Logf("in %v: rows logged %d, rows found %d; operations %v; changes of live runs refused %d", span, logged, found, c.done, c.live)
	t.Logf("longest wait of a trainer for a lock %v, for a batch %v; longest operation %v",
		longest.Round(time.Millisecond), batch.Round(time.Millisecond), c.longer.Round(time.Millisecond))
	if longest >= patience {
		t.Errorf("a trainer waited %v for a lock", longest)
	}
	for _, what := range []string{"move", "rename", "import", "delete"} {
		if c.done[what] < len(hands) {
			t.Errorf("only %d of: %s", c.done[what], what)
		}
	}
	if c.live == 0 {
		t.Error("no change of a live run was tried")
	}
}

// treat moves a run to another project, renames it, imports a copy of it into a
// third project and deletes that again. Nothing of it may fail.
func treat(t *testing.T, b *sqlite.Backend, h hand, v *victim, c *tally, n int) {
	do := func(what string, change func(context.Context) error) bool {
		begun := time.Now()
		if err := change(t.Context()); err != nil {
			t.Errorf("%s of %s in %s after %v: %v (%s)", what, v.id, v.project, time.Since(begun), err, trackio.HintOf(err))
			return false
		}
		c.count(what, time.Since(begun))
		return true
	}
	ref := func() trackio.RunRef { return trackio.RunRef{Project: v.project, ID: v.id} }
	to := map[string]string{"alpha": "beta", "beta": "alpha"}[v.project]
	if do("move", func(ctx context.Context) error { return h.move(ctx, ref(), to) }) {
		v.project = to
	}
	name := []string{"train", "other"}[n%2]
	if do("rename", func(ctx context.Context) error { return h.rename(ctx, ref(), name) }) {
		v.name = name
	}
	to = map[string]string{"alpha": "beta", "beta": "alpha"}[v.project]
	if do("import", func(ctx context.Context) error { return h.imported(ctx, ref(), to) }) {
		do("delete", func(ctx context.Context) error { return h.remove(ctx, trackio.RunRef{Project: to, ID: v.id}) })
	}
	checkVictim(t, b, v)
}

// refuseLive: a run in training is left alone, and the refusal says why.
func refuseLive(t *testing.T, h hand, run *training, c *tally) {
	ref := trackio.RunRef{Project: run.project, ID: run.id}
	for what, err := range map[string]error{
		"move": h.move(t.Context(), ref, "elsewhere"), "delete": h.remove(t.Context(), ref), "rename": h.rename(t.Context(), ref, "new"),
	} {
		if !errors.Is(err, trackio.ErrConflict) || !strings.Contains(fmt.Sprint(err), "still being written to") {
			t.Errorf("%s of the live run %s: %v", what, run.id, err)
			continue
		}
		c.refused()
	}
}

func checkVictim(t *testing.T, b *sqlite.Backend, v *victim) {
	t.Helper()
	for _, project := range []string{"alpha", "beta"} {
		ref := trackio.RunRef{Project: project, ID: v.id}
		info, err := b.GetRun(t.Context(), ref)
		if project != v.project {
			if !errors.Is(err, trackio.ErrNotFound) {
				t.Errorf("%s is in %s: %v", v.id, project, err)
			}
			continue
		}
		if err != nil || info.Name != v.name {
			t.Errorf("%s in %s is named %q, not %q: %v", v.id, project, info.Name, v.name, err)
			continue
		}
		if content, err := contentOf(t.Context(), b, ref); content != v.content || err != nil {
			t.Errorf("%s in %s holds %s, want %s: %v", v.id, project, content, v.content, err)
		}
	}
}

// checkTraining finds every row and every file that a trainer logged, once, and
// returns the number of rows.
func checkTraining(t *testing.T, dir string, b *sqlite.Backend, run *training, r report) int {
	t.Helper()
	if len(r.Lost) > 0 {
		t.Errorf("%s lost the batches %v: %s", run.id, r.Lost, strings.Join(r.Errors, "; "))
	}
	db, err := openAsPython(dir, run.project)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT step, log_id FROM metrics WHERE run_id = ? ORDER BY step", run.id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := 0
	for rows.Next() {
		var step int
		var id string
		if err := rows.Scan(&step, &id); err != nil {
			t.Fatal(err)
		}
		if step != found || id != logID(run.id, step) {
			t.Fatalf("%s: row %d is %d, %s", run.id, found, step, id)
		}
		found++
	}
	if err := rows.Err(); err != nil || found != r.Rows || found != r.Batches*batchRows {
		t.Errorf("%s logged %d rows in %d batches, %d are there: %v", run.id, r.Rows, r.Batches, found, err)
	}
	files := 0
	for step := 0; step < found; step += mediaEvery {
		data, err := os.ReadFile(filepath.Join(dir, "media", mediaPath(run.project, run.name, run.id, step)))
		if err != nil || string(data) != mediaContent(run.id, step) {
			t.Errorf("%s: file of row %d: %q, %v", run.id, step, data, err)
		}
		files++
	}
	if files != r.Media {
		t.Errorf("%s logged %d files, %d are there", run.id, r.Media, files)
	}
	if content, err := contentOf(t.Context(), b, trackio.RunRef{Project: run.project, ID: run.id}); err != nil || !strings.HasPrefix(content, fmt.Sprintf("%d rows", found)) {
		t.Errorf("%s as we read it: %.30s, %v", run.id, content, err)
	}
	return found
}

// checkStore: the databases are whole, no row and no file is there that is
// nobody's, and nothing is left of what was done.
func checkStore(t *testing.T, dir string, trainings []*training, victims map[string][]*victim) {
	t.Helper()
	known := map[string]bool{}
	for _, run := range trainings {
		known[run.project+" "+run.id] = true
	}
	for _, all := range victims {
		for _, v := range all {
			known[v.project+" "+v.id] = true
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused move has left a project: %v", err)
	}
	want := 0
	for _, project := range []string{"alpha", "beta"} {
		db, err := openAsPython(dir, project)
		if err != nil {
			t.Fatal(err)
		}
		var verdict string
		if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("%s: %s, %v", project, verdict, err)
		}
		for _, table := range []string{"metrics", "system_metrics", "alerts", "configs", "traces"} {
			rows, err := db.Query("SELECT DISTINCT run_id FROM " + table)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil || !known[project+" "+id] {
					t.Errorf("%s of %s has rows of %q: %v", table, project, id, err)
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Error(err)
			}
		}
		n := 0
		if err := db.QueryRow(`SELECT count(*) FROM metrics WHERE instr(metrics, '"file_path"')`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		want += n
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		switch {
		case strings.HasPrefix(rel, "media/"):
			files++
		case strings.HasPrefix(rel, ".trackio-go/"), strings.HasSuffix(rel, ".tmp"), strings.HasSuffix(rel, "-journal"):
			t.Errorf("left behind: %s", rel)
		}
		return nil
	})
	if err != nil || files != want {
		t.Errorf("%d files for %d references: %v", files, want, err)
	}
}
