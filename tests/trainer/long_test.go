//go:build trainer && unix

package trainer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// A move that would hold the project's lock for so long that a trainer loses
// rows is refused, with an estimate; when nobody trains there, or by force, it
// is done.
func TestLongMove(t *testing.T) {
	dir := t.TempDir()
	v := &victim{project: "alpha", name: "long", id: "long", rows: 400_000}
	addVictim(t, dir, v, 5)
	b := openStore(t, dir)
	ref := trackio.RunRef{Project: "alpha", ID: "long"}
	var err error
	if v.content, err = contentOf(t.Context(), b, ref); err != nil {
		t.Fatal(err)
	}
	run := startTraining(t, dir, "alpha", "train", "live")
	begun := time.Now()
	_, err = b.MoveRun(t.Context(), ref, "beta", trackio.MoveOptions{})
	if !errors.Is(err, trackio.ErrConflict) || !strings.Contains(fmt.Sprint(err), "moving 400000 rows") || !strings.Contains(fmt.Sprint(err), "about ") || !strings.Contains(trackio.HintOf(err), "force") {
		t.Fatalf("after %v: %v (%s)", time.Since(begun), err, trackio.HintOf(err))
	}
	t.Logf("refused after %v: %v", time.Since(begun).Round(time.Millisecond), err)
	checkVictim(t, b, v)
	r := run.end(t)
	if found := checkTraining(t, dir, b, run, r); found == 0 || r.Wait >= patience {
		t.Errorf("%d rows found, longest wait %v", found, r.Wait)
	}
	t.Logf("longest wait of the trainer for a lock %v", r.Wait.Round(time.Millisecond))
	begun = time.Now()
	if _, err := b.MoveRun(t.Context(), ref, "beta", trackio.MoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	v.project = "beta"
	t.Logf("forced: done in %v", time.Since(begun).Round(time.Millisecond))
	checkVictim(t, b, v)
	checkStore(t, dir, []*training{run}, map[string][]*victim{"": {v}})
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
			refused := errors.Is(err, trackio.ErrConflict) && strings.Contains(fmt.Sprint(err), fmt.Sprintf("%s %d rows", what, v.rows))
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
