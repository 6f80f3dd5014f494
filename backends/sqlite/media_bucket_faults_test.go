package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// bucketChanges are the changes that touch media, and how to see whether one has
// happened.
var bucketChanges = map[string]struct {
	do       func(ctx context.Context, b *Backend) error
	happened func(s *bucketStore) bool
	check    func(s *bucketStore, happened bool)
}{
	"move": {
		func(ctx context.Context, b *Backend) error {
			_, err := b.MoveRun(ctx, mainRef, "q", trackio.MoveOptions{})
			return err
		},
		func(s *bucketStore) bool { return s.one() == "q" },
		func(s *bucketStore, _ bool) { s.whole(trackio.RunRef{Project: s.one(), ID: "id-1"}) },
	},
	"delete": {
		func(ctx context.Context, b *Backend) error { return b.DeleteRun(ctx, mainRef, trackio.DeleteOptions{}) },
		func(s *bucketStore) bool { return len(s.where(mainRef)) == 0 },
		func(s *bucketStore, happened bool) {
			if !happened {
				s.whole(mainRef)
			}
		},
	},
	"import": {
		func(ctx context.Context, b *Backend) error {
			_, err := b.ImportRun(ctx, trackio.RunRef{Project: "q", ID: "new"}, newStream())
			return err
		},
		func(s *bucketStore) bool { return len(s.where(trackio.RunRef{Project: "q", ID: "new"})) == 1 },
		func(s *bucketStore, happened bool) {
			if !happened {
				return
			}
			if x := mustExport(s.t, s.b, "q", "new"); x.bodies["0/a.png"] != "a" || x.bodies["0/z.bin"] != largePNG {
				s.t.Errorf("imported: %v", x.media)
			}
		},
	},
	"delete project": {
		func(ctx context.Context, b *Backend) error {
			return b.DeleteProject(ctx, "p", trackio.DeleteOptions{})
		},
		func(s *bucketStore) bool { return !s.b.hasDatabase("p") },
		func(s *bucketStore, happened bool) {
			if !happened {
				s.whole(mainRef)
			}
		},
	},
}

// one returns the project in which our readers find the run.
func (s *bucketStore) one() string {
	s.t.Helper()
	found := s.where(mainRef, trackio.RunRef{Project: "q", ID: "id-1"})
	if len(found) != 1 {
		s.t.Fatalf("the run is in %q", found)
	}
	return found[0]
}

// Whichever request fails, before or after the store has carried it out, and also
// when the store stays away from then on: a change that returns nil has happened,
// one that returns an error has not or has; readers find every run whole; and
// when the store is back the next change leaves nothing that belongs to nobody.
func TestBucketFails(t *testing.T) {
	modes := map[string]func(n int) func(int, string) (bool, bool){
		"is refused": func(n int) func(int, string) (bool, bool) {
			return func(i int, _ string) (bool, bool) { return i == n, false }
		},
		"is not answered": func(n int) func(int, string) (bool, bool) {
			return func(i int, _ string) (bool, bool) { return false, i == n }
		},
		"is the last": func(n int) func(int, string) (bool, bool) {
			return func(i int, _ string) (bool, bool) { return i >= n, false }
		},
	}
	for name, change := range bucketChanges {
		for mode, fail := range modes {
			t.Run(name+", a request "+mode, func(t *testing.T) {
				for n := 1; ; n++ {
					s := newBucketStore(t)
					s.tap.set(fail(n))
					err := change.do(trackio.WithNotes(t.Context(), func(string) {}), s.b)
					calls := s.tap.seen()
					s.tap.set(nil)
					reached := len(calls) >= n
					happened := change.happened(s)
					what := fmt.Sprintf("request %d of %q: %v", n, calls, err)
					switch {
					case err == nil && !happened, !reached && err != nil:
						t.Fatalf("happened %v, %s", happened, what)
					case err != nil && !errors.Is(err, trackio.ErrUnavailable):
						t.Errorf("kind %v, %s", trackio.KindOf(err), what)
					}
					change.check(s, happened)
					settle(t, s.fresh().b)
					if change.happened(s) != happened {
						t.Errorf("settling changed the outcome, %s", what)
					}
					change.check(s, happened)
					s.clean()
					s.drop()
					if t.Failed() {
						t.Fatal(what)
					}
					if !reached {
						if n < 2 {
							t.Errorf("only %d requests", n-1)
						}
						return
					}
				}
			})
		}
	}
}

// settle recovers what is left in a store; nothing may stand in the way.
func settle(t *testing.T, b *Backend) {
	t.Helper()
	ctx := trackio.WithNotes(t.Context(), func(note string) { t.Errorf("recovery: %s", note) })
	if err := b.recover(ctx); err != nil {
		t.Fatal(err)
	}
}

// While the bucket is away, what is left of an operation waits for it: other runs
// change as ever, the run itself may come back, and nobody is misled.
func TestBucketIsAway(t *testing.T) {
	s := newBucketStore(t)
	s.tap.set(func(_ int, call string) (bool, bool) { return strings.HasPrefix(call, "delete"), false })
	var notes []string
	ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })
	if _, err := s.b.MoveRun(ctx, mainRef, "q", trackio.MoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "will be removed by the next change") {
		t.Errorf("notes: %q", notes)
	}
	s.tap.set(func(int, string) (bool, bool) { return true, false })
	p := other(&fakeProject{t: t, dir: s.dir, gen: genTraces}, "p")
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"back":1}`)
	if found := s.where(mainRef, trackio.RunRef{Project: "q", ID: "id-1"}); len(found) != 2 {
		t.Errorf("the run that came back and the moved one are in %q", found)
	}
	if _, err := s.b.RenameRun(ctx, trackio.RunRef{Project: "p", ID: "id-3"}, "new", trackio.RenameOptions{}); err != nil {
		t.Errorf("another run: %v", err)
	}
	findings := 0
	for finding, err := range s.b.Examine(ctx, trackio.ExamineOptions{Fix: true}) {
		if findings++; err != nil || finding.Fixed || finding.RunID != "id-1" {
			t.Errorf("%+v, %v", finding, err)
		}
	}
	if findings != 1 {
		t.Errorf("%d findings", findings)
	}
	s.tap.set(nil)
	settle(t, s.b)
	s.whole(trackio.RunRef{Project: "q", ID: "id-1"})
	if rowsOf(t, s.b, mainRef) != 1 {
		t.Error("the run that came back has lost its rows")
	}
	s.clean()
}

// A move that could neither be made nor undone is about objects alone from then
// on: a run of that id that somebody else brings to the target hides nothing.
func TestBucketIsAwayForUndo(t *testing.T) {
	s := newBucketStore(t)
	q := newProject(t, s.dir, "q", genTraces)
	s.tap.set(func(i int, call string) (bool, bool) {
		return strings.HasPrefix(call, "delete") || strings.HasSuffix(call, "large.png") && strings.HasPrefix(call, "copy"), false
	})
	if _, err := s.b.MoveRun(t.Context(), mainRef, "q", trackio.MoveOptions{}); !errors.Is(err, trackio.ErrUnavailable) || !strings.Contains(err.Error(), "not settled") {
		t.Errorf("the move: %v", err)
	}
	q.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"another":1}`)
	if found := s.where(mainRef, trackio.RunRef{Project: "q", ID: "id-1"}); len(found) != 2 {
		t.Errorf("the run and the other one are in %q", found)
	}
	s.whole(mainRef)
	s.tap.set(nil)
	settle(t, s.b)
	s.whole(mainRef)
	s.clean()
}

// An operation is settled where its media are, whatever the configuration says
// now: one on the disk in any case, one in a bucket as soon as that is named again.
func TestMediaConfiguredAnew(t *testing.T) {
	for point := afterJournal; point <= afterSource; point++ {
		s := newBucketStore(t)
		plain := openDir(t, s.dir)
		interruptMove(t, plain, mainRef, "q", point) // moves what is on the disk
		settle(t, s.b)
		s.b.bucket.failure = nil
		ref := trackio.RunRef{Project: s.one(), ID: "id-1"}
		if x := mustExport(t, s.b, ref.Project, ref.ID); x.bodies["2/disk.png"] != "on the disk" {
			t.Errorf("point %d, in %s: %v", point, ref.Project, x.media)
		}
		checkNothingLeft(t, s.dir)

		s = newBucketStore(t)
		interruptMove(t, s.b, mainRef, "q", point)
		before := s.keys()
		for _, other := range []*Backend{openDir(t, s.dir), openBucketStore(t, s.dir, memoryURL()).b} {
			var notes []string
			ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })
			if err := other.recover(ctx); err != nil || len(notes) != 1 || !strings.Contains(notes[0], s.b.bucket.name) {
				t.Errorf("point %d: %v, %q", point, err, notes)
			}
		}
		if after := s.keys(); !slices.Equal(after, before) {
			t.Errorf("point %d: the bucket holds %q, had %q", point, after, before)
		}
		settle(t, s.b)
		s.whole(trackio.RunRef{Project: s.one(), ID: "id-1"})
		s.clean()
	}
}

// An older program, which would not see the part in the bucket, refuses its
// journal; journals without one are as ever.
func TestJournalVersion(t *testing.T) {
	s := newBucketStore(t)
	interruptMove(t, s.b, mainRef, "q", afterJournal)
	names, err := filepath.Glob(filepath.Join(globEscape(s.b.ops()), "*"+journalExt))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil || !strings.Contains(string(data), `"version": 2`) {
		t.Errorf("%s %v", data, err)
	}
}
