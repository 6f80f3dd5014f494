package sqlite

import (
	"errors"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// A move that was interrupted at any point is finished or undone, also when
// somebody else has changed the run or its objects meanwhile.
func TestRecoverMoveInBucket(t *testing.T) {
	q := trackio.RunRef{Project: "q", ID: "id-1"}
	foreign := map[string]func(p *fakeProject, s *bucketStore){
		"nothing":      func(*fakeProject, *bucketStore) {},
		"source grows": func(p *fakeProject, _ *bucketStore) { p.metric(fakeRun{"id-1", "run"}, stampAt(50), 50, `{"late":1}`) },
		"source objects go": func(_ *fakeProject, s *bucketStore) {
			s.remove("p/run/0/bucket.png", "p/run/0/large.png", "p/run/2/both.png")
		},
		"target is deleted": func(p *fakeProject, _ *bucketStore) { deleteAsPython(p, "q", "id-1") },
	}
	points := []string{"journal", "some media", "media", "target", "source"}
	for point, at := range points {
		for what, change := range foreign {
			if point < afterTarget && what == "target is deleted" || point == afterSource && what == "target is deleted" ||
				point < afterMedia && what == "source objects go" || point == afterSource && what == "source grows" {
				continue // it is not there, or its objects have no other name
			}
			t.Run(at+", "+what, func(t *testing.T) {
				s := newBucketStore(t)
				interruptMove(t, s.b, mainRef, "q", point)
				want := map[bool]string{true: "q", false: "p"}[point >= afterTarget]
				if got := s.one(); got != want {
					t.Fatalf("before recovery it is in %s", got)
				}
				change(other(&fakeProject{t: t, dir: s.dir, gen: genTraces}, "p"), s)
				if point == afterTarget && (what == "source grows" || what == "target is deleted") {
					want = "p"
				}
				settle(t, s.fresh().b)
				if got := s.one(); got != want {
					t.Fatalf("after recovery it is in %s, want %s", got, want)
				}
				s.whole(trackio.RunRef{Project: want, ID: "id-1"})
				if want == "p" && rowsOf(t, s.b, q) > 0 || want == "q" && rowsOf(t, s.b, mainRef) > 0 {
					t.Error("there are rows in the other project")
				}
				s.clean()
			})
		}
	}
}

// An import that was killed while its media were on their way, or before or after
// its commit.
func TestRecoverImportInBucket(t *testing.T) {
	for _, point := range []string{"streaming", "staged", "committed"} {
		t.Run(point, func(t *testing.T) {
			s := newBucketStore(t)
			op := s.b.newOperation(opImport)
			op.Target, op.NewID = "q", "new"
			if err := s.b.own(op); err != nil {
				t.Fatal(err)
			}
			staged, err := s.b.stage(t.Context(), op, newStream())
			if err != nil {
				t.Fatal(err)
			}
			if point != "streaming" {
				err = s.b.journal(op)
			}
			if err == nil && point == "committed" {
				_, err = s.b.commitStaged(t.Context(), op, staged)
			}
			if err != nil {
				t.Fatal(err)
			}
			if keys := s.keys(); len(keys) != 7 {
				t.Fatalf("the bucket holds %q", keys)
			}
			op.abandon()
			settle(t, s.fresh().b)
			bucketChanges["import"].check(s, point == "committed")
			if want := map[bool]int{true: 7, false: 5}[point == "committed"]; len(s.keys()) != want {
				t.Errorf("the bucket holds %q", s.keys())
			}
			s.clean()
		})
	}
}

// A deletion, of a run or a project, that was killed before or after its commit.
func TestRecoverDeleteInBucket(t *testing.T) {
	for _, committed := range []bool{false, true} {
		s := newBucketStore(t)
		plan, err := s.b.planChange(t.Context(), mainRef, guard{})
		if err != nil {
			t.Fatal(err)
		}
		op := s.b.newOperation(opDelete)
		op.Source, op.RunID, op.RunName, op.Revision = "p", "id-1", "run", plan.revision
		err = errors.Join(s.b.planDelete(t.Context(), plan.media, op), s.b.begin(op))
		if err == nil && committed {
			_, err = s.b.deleteRows(t.Context(), plan)
		}
		if err != nil {
			t.Fatal(err)
		}
		op.abandon()
		settle(t, s.fresh().b)
		bucketChanges["delete"].check(s, committed)
		s.clean()

		s = newBucketStore(t)
		op = s.b.newOperation(opDeleteProject)
		op.Source, op.Bucket = "p", s.b.newOpBucket(op)
		err = s.b.begin(op)
		if err == nil && committed {
			err = s.b.takeAway(t.Context(), op)
		}
		if err != nil {
			t.Fatal(err)
		}
		op.abandon()
		settle(t, s.fresh().b)
		bucketChanges["delete project"].check(s, committed)
		s.clean()
		if keys := s.keys(); committed && len(keys) != 0 {
			t.Errorf("left: %q", keys)
		}
	}
}

// Objects of an import that began before a project was deleted and ends after it
// are the new project's.
func TestImportOutlivesProject(t *testing.T) {
	s := newBucketStore(t)
	op := s.b.newOperation(opImport)
	op.Target, op.NewID = "p", "new"
	if err := s.b.own(op); err != nil {
		t.Fatal(err)
	}
	second := s.fresh()
	// It begins after the deletion has looked for operations under way.
	deletion := second.b.newOperation(opDeleteProject)
	deletion.Source, deletion.Bucket = "p", second.b.newOpBucket(deletion)
	if err := second.b.begin(deletion); err != nil {
		t.Fatal(err)
	}
	staged, err := s.b.stage(t.Context(), op, newStream())
	if err == nil {
		err = errors.Join(s.b.journal(op), second.b.takeAway(t.Context(), deletion))
	}
	deletion.abandon()
	if err == nil { // its objects go while no row refers to those of the import
		settle(t, second.b)
		err = s.b.commitImport(t.Context(), op, staged)
	}
	if err != nil {
		t.Fatal(err)
	}
	if x := mustExport(t, s.b, "p", "new"); x.bodies["0/a.png"] != "a" || x.bodies["0/z.bin"] != largePNG {
		t.Errorf("imported: %v", x.media)
	}
	if keys := s.keys(); len(keys) != 2 {
		t.Errorf("the bucket holds %q", keys)
	}
}
