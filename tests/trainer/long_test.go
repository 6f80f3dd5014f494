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
	for range 3 {
		begun := time.Now()
		_, err := b.MoveRun(t.Context(), ref, "beta", trackio.MoveOptions{})
		if !errors.Is(err, trackio.ErrConflict) || !strings.Contains(fmt.Sprint(err), "400000 rows") || !strings.Contains(fmt.Sprint(err), "about ") || !strings.Contains(trackio.HintOf(err), "force") {
			t.Fatalf("after %v: %v (%s)", time.Since(begun), err, trackio.HintOf(err))
		}
		t.Logf("refused after %v: %v", time.Since(begun).Round(time.Millisecond), err)
	}
	checkVictim(t, b, v)
	r := run.end(t)
	if found := checkTraining(t, dir, b, run, r); found == 0 || r.Wait >= patience {
		t.Errorf("%d rows found, longest wait %v", found, r.Wait)
	}
	t.Logf("longest wait of the trainer for a lock %v", r.Wait.Round(time.Millisecond))
	begun := time.Now()
	if _, err := b.MoveRun(t.Context(), ref, "beta", trackio.MoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	v.project = "beta"
	t.Logf("forced: done in %v", time.Since(begun).Round(time.Millisecond))
	checkVictim(t, b, v)
	checkStore(t, dir, []*training{run}, map[string][]*victim{"": {v}})
}
