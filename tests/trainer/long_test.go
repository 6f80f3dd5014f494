//go:build trainer && unix

package trainer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// A move that would hold the project's lock for so long that a trainer loses
// rows is refused, with an estimate; when nobody trains there, or by force, it
// is done. A machine that moves the first run in time has a longer one to refuse.
func TestLongMove(t *testing.T) {
	dir := t.TempDir()
	b := openStore(t, dir)
	var refused *victim
	var runs []*victim
	for _, rows := range []int{400_000, 2_000_000} {
		v := &victim{project: "alpha", name: "long", id: fmt.Sprint("long-", rows), rows: rows}
		addVictim(t, dir, v, 5)
		var err error
		if v.content, err = contentOf(t.Context(), b, trackio.RunRef{Project: "alpha", ID: v.id}); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, v)
		if tryLongMove(t, dir, b, v) {
			refused = v
			break
		}
	}
	if refused == nil {
		t.Fatal("no move was refused")
	}
	begun := time.Now()
	if _, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "alpha", ID: refused.id}, "beta", trackio.MoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	refused.project = "beta"
	t.Logf("forced: done in %v", time.Since(begun).Round(time.Millisecond))
	for _, v := range runs {
		checkVictim(t, b, v)
	}
}

// tryLongMove moves a run beside a trainer and reports whether that was refused.
// Either way the trainer loses nothing.
func tryLongMove(t *testing.T, dir string, b *sqlite.Backend, v *victim) (refused bool) {
	t.Helper()
	run := startTraining(t, dir, "alpha", "train", "live beside "+v.id)
	begun := time.Now()
	_, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "alpha", ID: v.id}, "beta", trackio.MoveOptions{})
	t.Logf("%d rows: %v after %v", v.rows, err, time.Since(begun).Round(time.Millisecond))
	if err == nil {
		v.project = "beta"
	} else if !isTooLong(err, "moving", v.rows) {
		t.Fatalf("%v (%s)", err, trackio.HintOf(err))
	}
	r := run.end(t)
	if found := checkTraining(t, dir, b, run, r); found == 0 || r.Wait >= patience {
		t.Errorf("%d rows found, longest wait %v", found, r.Wait)
	}
	t.Logf("longest wait of the trainer for a lock %v", r.Wait.Round(time.Millisecond))
	checkVictim(t, b, v)
	return err != nil
}

// isTooLong: refused by an estimate, or given up because that was too low.
func isTooLong(err error, doing string, rows int) bool {
	text := fmt.Sprint(err)
	return errors.Is(err, trackio.ErrConflict) && strings.Contains(trackio.HintOf(err), "when the training has ended") &&
		(strings.Contains(text, fmt.Sprintf("%s %d rows", doing, rows)) && strings.Contains(text, "for about ") || strings.Contains(text, doing+" the run was given up"))
}

// Deletions and renamings are as long as moves. Whether one of a long run is done
// or refused is for the machine; no trainer may lose by it.
func TestLongChanges(t *testing.T) {
	dir := t.TempDir()
	runs := []*victim{
		{project: "alpha", name: "long", id: "long", rows: 500_000},
		{project: "alpha", name: "longer", id: "longer", rows: 1_500_000},
	}
	b := openStore(t, dir)
	for _, v := range runs {
		addVictim(t, dir, v, 5)
	}
	run := startTraining(t, dir, "alpha", "train", "live")
	aside := &victim{project: "gamma", name: "aside", id: "aside", rows: 1_500_000}
	addVictim(t, dir, aside, 5)
	begun := time.Now()
	_, err := b.ImportRun(t.Context(), trackio.RunRef{Project: "alpha", ID: aside.id}, b.ExportRun(t.Context(), trackio.RunRef{Project: "gamma", ID: aside.id}, trackio.ExportOptions{}))
	if err != nil && !isTooLong(err, "importing", aside.rows) {
		t.Errorf("importing: %v (%s)", err, trackio.HintOf(err))
	}
	t.Logf("importing %d rows: %v after %v", aside.rows, err, time.Since(begun).Round(time.Millisecond))
	imported := err == nil
	changed := map[string]bool{}
	for _, v := range runs {
		ref := trackio.RunRef{Project: "alpha", ID: v.id}
		for what, change := range map[string]func() error{
			"renaming": func() error {
				_, err := b.RenameRun(t.Context(), ref, v.name+" new", trackio.RenameOptions{})
				return err
			},
			"deleting": func() error { return b.DeleteRun(t.Context(), ref, trackio.DeleteOptions{}) },
		} {
			begun := time.Now()
			err := change()
			refused := isTooLong(err, what, v.rows)
			gone := errors.Is(err, trackio.ErrNotFound) && changed["deleting "+v.id]
			if err != nil && !refused && !gone {
				t.Errorf("%s: %v (%s)", what, err, trackio.HintOf(err))
			}
			if err == nil {
				changed[what+" "+v.id] = true
			}
			t.Logf("%s %d rows: %v after %v", what, v.rows, err, time.Since(begun).Round(time.Millisecond))
		}
	}
	r := run.end(t)
	if found := checkTraining(t, dir, b, run, r); found == 0 || r.Wait >= patience {
		t.Errorf("%d rows found, longest wait %v", found, r.Wait)
	}
	t.Logf("longest wait of the trainer for a lock %v", r.Wait.Round(time.Millisecond))
	if _, err := b.GetRun(t.Context(), trackio.RunRef{Project: "alpha", ID: aside.id}); imported != (err == nil) || err != nil && !errors.Is(err, trackio.ErrNotFound) {
		t.Errorf("imported %v, and yet: %v", imported, err)
	}
	for _, v := range runs {
		info, err := b.GetRun(t.Context(), trackio.RunRef{Project: "alpha", ID: v.id})
		switch {
		case changed["deleting "+v.id]:
			if !errors.Is(err, trackio.ErrNotFound) {
				t.Errorf("%s was deleted: %v", v.id, err)
			}
		case err != nil || strings.HasSuffix(info.Name, " new") != changed["renaming "+v.id]:
			t.Errorf("%s is named %q: %v", v.id, info.Name, err)
		}
	}
}
