package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// A change in a hurry treats the same rows as one that has time, and one that
// would take too long none, for good.
func TestHurry(t *testing.T) {
	const rows = 3 * sampleRows
	for _, gen := range []generation{genNames, genTraces} {
		t.Run(string(gen), func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "p", gen)
			p.exec("BEGIN")
			for i := range rows {
				p.metric(fakeRun{"x", "x"}, stampAt(i), rows-i, `{}`)
				p.metric(fakeRun{"y", "y"}, stampAt(i), i, `{}`)
			}
			p.exec("COMMIT")
			p.done()
			b := openDir(t, dir)
			w, err := b.openWriter(t.Context(), b.db("p"), false)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			late := b.newHurry(w, "main", "deleting", 1e9) // it should have been done by now
			err = late.within(t.Context(), func(ctx context.Context) error {
				late.share = 0
				_, err := w.removeRows(ctx, "x", late)
				return err
			})
			if !errors.Is(err, trackio.ErrConflict) || !strings.Contains(err.Error(), "given up") || !strings.Contains(trackio.HintOf(err), "force") {
				t.Fatalf("got %v (%s)", err, trackio.HintOf(err))
			}
			if _, err := w.removeRows(t.Context(), "x", &hurry{w: w, in: "main", doing: "deleting", share: 1e9}); !errors.Is(err, trackio.ErrConflict) ||
				!strings.Contains(err.Error(), fmt.Sprintf("deleting %d rows of metrics", rows)) || !strings.Contains(trackio.HintOf(err), "force") {
				t.Fatalf("got %v (%s)", err, trackio.HintOf(err))
			}
			if _, err := w.ExecContext(t.Context(), "ROLLBACK; BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
			removed, err := w.removeRows(t.Context(), "x", &hurry{w: w, in: "main", doing: "deleting"})
			if err != nil || removed["metrics"] != rows {
				t.Errorf("removed %v, %v", removed, err)
			}
			left, err := tableCounts(t.Context(), w, "main", w.schema, "y")
			if err != nil || left["metrics"] != rows {
				t.Errorf("of the other run there are %v, %v", left, err)
			}
			if found, err := hasRun(t.Context(), w, w.schema, "x"); err != nil || found {
				t.Errorf("rows are left: %v, %v", found, err)
			}
		})
	}
}

// Only a change that nobody forces, where somebody writes, is in a hurry.
func TestWhoIsInAHurry(t *testing.T) {
	for _, age := range []time.Duration{time.Second, time.Hour} {
		dir := t.TempDir()
		p := newProject(t, dir, "p", genTraces)
		p.metric(fakeRun{"x", "x"}, time.Now().Add(-age).UTC().Format("2006-01-02T15:04:05+00:00"), 0, `{}`)
		p.done()
		b := openDir(t, dir)
		w, err := b.openWriter(t.Context(), b.db("p"), false)
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		if h := b.inHurry(t.Context(), w, &plan{}, "moving"); (h != nil) != (age < liveWindow) {
			t.Errorf("with a row %v old: %v", age, h)
		}
		if h := b.inHurry(t.Context(), w, &plan{force: true}, "moving"); h != nil {
			t.Error("forced, and in a hurry")
		}
	}
}
