package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// The tests of this file are the cases in which Python Trackio was measured to
// lose data. Each counts what is lost here, and wants zero.

func moveOf(t *testing.T, b *Backend, project, id, target string) trackio.RunInfo {
	t.Helper()
	moved, err := b.MoveRun(t.Context(), trackio.RunRef{Project: project, ID: id}, target, trackio.MoveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

// dangling counts references of all runs to files that are not there.
func dangling(t *testing.T, b *Backend) int {
	t.Helper()
	n := 0
	for _, project := range projectsOf(t, b) {
		for _, run := range listAll(t, b, project) {
			for _, sum := range mustExport(t, b, project, run.ID).media {
				if sum == "missing" {
					n++
				}
			}
		}
	}
	return n
}

// threeFiles writes a run with three media files.
func threeFiles(p *fakeProject, r fakeRun, dir string) {
	for i := range 3 {
		p.metric(r, stampAt(i), i, `{"img":`+p.media(fmt.Sprintf("%s/%s/%d/%s.png", dir, r.name, i, r.id), r.id)+`}`)
	}
}

func TestLossDeletedRunLeavesItsMedia(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	threeFiles(p, fakeRun{"id-1", "run"}, "p")
	p.done()
	b := openDir(t, dir)
	if err := b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, trackio.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := mediaFiles(t, dir); len(left) != 0 {
		t.Errorf("%d of 3 files stay: %v", len(left), left)
	}
}

func TestLossMoveOfOneOfTwoNamedAlike(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	threeFiles(p, fakeRun{"id-1", "same"}, "p")
	threeFiles(p, fakeRun{"id-2", "same"}, "p")
	p.done()
	b := openDir(t, dir)
	moveOf(t, b, "p", "id-1", "q")
	if n := dangling(t, b); n != 0 {
		t.Errorf("%d references dangle", n)
	}
}

func TestLossNameTakenInTarget(t *testing.T) {
	dir := t.TempDir()
	for project, id := range map[string]string{"p": "id-1", "q": "id-2"} {
		p := newProject(t, dir, project, genTraces)
		threeFiles(p, fakeRun{id, "same"}, project)
		p.done()
	}
	b := openDir(t, dir)
	moveOf(t, b, "p", "id-1", "q")
	if n := dangling(t, b); n != 0 || len(mediaFiles(t, dir)) != 6 {
		t.Errorf("%d references dangle, files are %v", n, mediaFiles(t, dir))
	}
}

func TestLossProjectNameNotCanonical(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "mymodel", genNames)
	threeFiles(p, fakeRun{"", "run"}, "my model")
	p.done()
	b := openDir(t, dir)
	renamed, err := b.RenameRun(t.Context(), trackio.RunRef{Project: "mymodel", ID: "run"}, "other", trackio.RenameOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := dangling(t, b); n != 0 {
		t.Errorf("%d references dangle after renaming", n)
	}
	moveOf(t, b, "mymodel", renamed.ID, "q")
	if n := dangling(t, b); n != 0 {
		t.Errorf("%d references dangle after moving", n)
	}
}

func TestLossFailureInTheSideTables(t *testing.T) {
	for _, table := range []string{"system_metrics", "alerts", "traces"} {
		dir := t.TempDir()
		p := newProject(t, dir, "p", genTraces)
		r := fakeRun{"id-1", "run"}
		threeFiles(p, r, "p")
		p.system(r, stampAt(0), `{"gpu":1}`)
		p.alert(r, stampAt(0), "t", "warn", nil)
		p.trace(r, "trace-1", stampAt(0), 0, `[]`, "s")
		p.exec("UPDATE system_metrics SET log_id = 'l'")
		p.done()
		q := newProject(t, dir, "q", genTraces)
		other := fakeRun{"id-2", "x"}
		q.system(other, stampAt(0), `{}`)
		switch table { // a key of the run is taken, so that its row cannot go in
		case "system_metrics":
			q.exec("UPDATE system_metrics SET log_id = 'l'")
		case "alerts":
			q.alert(other, stampAt(0), "t", "warn", nil)
		case "traces":
			q.trace(other, "trace-1", stampAt(0), 0, `[]`, "s")
		}
		q.done()
		before := contentOf(t, dir)
		b := openDir(t, dir)
		if _, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{}); err == nil {
			t.Errorf("%s: the failure was swallowed", table)
		}
		b.Close()
		if after := contentOf(t, dir); after != before {
			t.Errorf("%s: the store changed:\n%s\nwas\n%s", table, after, before)
		}
	}
}

func TestLossCrashBetweenTheCommits(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	threeFiles(p, fakeRun{"id-1", "run"}, "p")
	p.done()
	b := openDir(t, dir)
	interruptMove(t, b, trackio.RunRef{Project: "p", ID: "id-1"}, "q", afterTarget)
	if n := len(listAll(t, b, "p")) + len(listAll(t, b, "q")); n != 1 {
		t.Errorf("the run is in %d projects", n)
	}
	_, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{}) // the retry
	if !errors.Is(err, trackio.ErrNotFound) {
		t.Errorf("the retry: %v", err)
	}
	moveOf(t, b, "q", "id-1", "r") // which recovers first
	if rows := rowsOf(t, b, trackio.RunRef{Project: "r", ID: "id-1"}); rows != 3 || rowsOf(t, b, trackio.RunRef{Project: "p", ID: "id-1"}) != 0 {
		t.Errorf("%d rows, want 3", rows)
	}
}

func TestLossIdsOfLogsAndSpaces(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	r := fakeRun{"id-1", "run"}
	threeFiles(p, r, "p")
	p.system(r, stampAt(0), `{"gpu":1}`)
	p.exec("UPDATE metrics SET log_id = 'l' || id, space_id = 'me/space'")
	p.exec("UPDATE system_metrics SET log_id = 's' || id, space_id = 'me/space'")
	p.done()
	b := openDir(t, dir)
	if _, err := b.RenameRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, "new", trackio.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	var got []string
	x := mustExport(t, b, "q", "id-1")
	for _, row := range x.metrics {
		got = append(got, row.LogID+row.SpaceID)
	}
	for _, row := range x.system {
		got = append(got, row.LogID+row.SpaceID)
	}
	if want := []string{"l1me/space", "l2me/space", "l3me/space", "s1me/space"}; !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

func TestLossDeleteThatFailsHalfWay(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	r := fakeRun{"id-1", "run"}
	threeFiles(p, r, "p")
	p.trace(r, "trace-1", stampAt(0), 0, `[]`, "s")
	p.exec("CREATE TRIGGER fail BEFORE DELETE ON traces BEGIN SELECT RAISE(ABORT, 'no'); END")
	p.done()
	before := contentOf(t, dir)
	b := openDir(t, dir)
	ref := trackio.RunRef{Project: "p", ID: "id-1"}
	plan := &plan{ref: ref, name: "run", key: "run_id"}
	err := b.read(t.Context(), "p", func(s *snapshot) (err error) {
		plan.revision, err = b.revision(t.Context(), s, s.schema, ref.ID)
		if err == nil {
			plan.media, err = findMedia(t.Context(), s, s.schema, ref, "run")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.deleteRun(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "p.db") {
		t.Errorf("the failure was swallowed: %v", err)
	}
	b.Close()
	if after := contentOf(t, dir); after != before {
		t.Errorf("the half was committed:\n%s\nwas\n%s", after, before)
	}
	checkNothingLeft(t, dir)
}

func TestLossUnknownRun(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{}`)
	p.done()
	before := treeOf(t, dir)
	b := openDir(t, dir)
	ref := trackio.RunRef{Project: "p", ID: "unknown"}
	_, move := b.MoveRun(t.Context(), ref, "new", trackio.MoveOptions{})
	_, rename := b.RenameRun(t.Context(), ref, "new", trackio.RenameOptions{})
	for what, err := range map[string]error{"move": move, "rename": rename, "delete": b.DeleteRun(t.Context(), ref, trackio.DeleteOptions{})} {
		if !errors.Is(err, trackio.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	sameTree(t, dir, before) // no empty target project either
}

func TestLossMovesInOppositeDirections(t *testing.T) {
	dir := t.TempDir()
	for project, id := range map[string]string{"a": "id-1", "b": "id-2"} {
		p := newProject(t, dir, project, genTraces)
		threeFiles(p, fakeRun{id, "run"}, project)
		p.done()
	}
	one, two := openDir(t, dir), openDir(t, dir)
	for range 5 {
		var wait sync.WaitGroup
		errs := make([]error, 2)
		wait.Go(func() {
			_, errs[0] = one.MoveRun(t.Context(), trackio.RunRef{Project: "a", ID: "id-1"}, "b", trackio.MoveOptions{})
		})
		wait.Go(func() {
			_, errs[1] = two.MoveRun(t.Context(), trackio.RunRef{Project: "b", ID: "id-2"}, "a", trackio.MoveOptions{})
		})
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		moveOf(t, one, "b", "id-1", "a")
		moveOf(t, two, "a", "id-2", "b")
	}
	if _, err := one.MoveRun(t.Context(), trackio.RunRef{Project: "a", ID: "id-1"}, "a", trackio.MoveOptions{}); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("to the same project: %v", err)
	}
	if n := dangling(t, one); n != 0 {
		t.Errorf("%d references dangle", n)
	}
}

func TestLossRenameOutOfTheStore(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "store")
	p := newProject(t, dir, "p", genTraces)
	threeFiles(p, fakeRun{"id-1", "run"}, "p")
	p.done()
	writeFile(t, filepath.Join(base, "x"), "outside")
	b := openDir(t, dir)
	run, err := trackio.New(b).Run(t.Context(), "p", "id-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Rename(t.Context(), "../../x"); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("the api: %v", err)
	}
	// Whoever goes past the Api gets a run of that name, and no file outside.
	if _, err := b.RenameRun(t.Context(), run.Info().RunRef, "../../x", trackio.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	moveOf(t, b, "p", "id-1", "q")
	if n := dangling(t, b); n != 0 || len(mediaFiles(t, dir)) != 3 {
		t.Errorf("%d references dangle; files inside: %v", n, mediaFiles(t, dir))
	}
}

func TestLossOfMemory(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	payload := `{"text":"` + strings.Repeat("x", 4000) + `"}`
	p.exec("BEGIN")
	for i := range 50_000 { // 200 MB
		p.metric(fakeRun{"id-1", "big"}, stampAt(i), i, payload)
	}
	p.exec("COMMIT")
	p.done()
	peak := peakOfMove(t, dir)
	t.Logf("moving a run of 200 MB took %d MB at the most", peak>>20)
	if peak > 128<<20 {
		t.Errorf("moving a run of 200 MB took %d MB", peak>>20)
	}
	if n := rowsOf(t, openDir(t, dir), trackio.RunRef{Project: "q", ID: "id-1"}); n != 50_000 {
		t.Errorf("%d rows arrived", n)
	}
}

// moveBig is the helper "move-big".
func moveBig(dir string) error {
	b, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.MoveRun(context.Background(), trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{Force: true})
	return err
}
