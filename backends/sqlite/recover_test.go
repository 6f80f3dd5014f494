package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// The points at which a move can be interrupted, by what has happened.
const (
	afterJournal = iota
	afterSomeMedia
	afterMedia
	afterTarget
	afterSource
)

// interruptMove does what MoveRun does, up to a point, and then no more, as if
// its process had been killed there.
func interruptMove(t *testing.T, b *Backend, ref trackio.RunRef, target string, point int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	p, err := b.planChange(ctx, ref, guard{})
	must(err)
	m := &move{b: b, p: p, op: b.newOperation(opMove)}
	m.op.Source, m.op.RunID, m.op.RunName, m.op.Revision, m.op.Rows = ref.Project, ref.ID, p.name, p.revision, p.rows
	m.op.Target, m.op.Alone = target, p.media.alone
	m.op.NewID, err = b.idInTarget(ctx, p, target)
	must(err)
	tree, err := openMediaTree(b.dir, b.media())
	must(err)
	defer tree.close()
	m.media, m.texts, err = b.planMove(ctx, p.media, tree, p.name, m.op)
	must(err)
	must(b.begin(m.op))
	defer m.op.abandon()
	switch point {
	case afterJournal:
		return
	case afterSomeMedia:
		for _, change := range m.media {
			switch c := change.(type) {
			case *placing:
				must((&placing{tree: c.tree, source: c.source, files: firstOf(c.files)}).place(ctx))
			case *bucketChange:
				must((&bucketChange{c.store, &opBucket{Files: firstOf(c.part.Files)}}).place(ctx))
			}
		}
		return
	}
	must(m.media.place(ctx))
	if point == afterMedia {
		return
	}
	source, err := b.openWriter(ctx, b.db(ref.Project), false)
	must(err)
	defer source.close()
	gone := startRemoval(ctx, source, ref.ID)
	defer gone.stop()
	must(b.commitTarget(ctx, m.op, m.insertInto(source, gone, false)))
	if point == afterTarget {
		return
	}
	_, err = gone.wait()
	must(err)
	must(source.commit(ctx))
}

func firstOf(files []opFile) []opFile { return files[:min(1, len(files))] }

func TestRecoverMove(t *testing.T) {
	const nowhere, inSource, inTarget, inBoth = 0, 1, 2, 3
	ref, to := trackio.RunRef{Project: "p", ID: "id-1"}, trackio.RunRef{Project: "q", ID: "id-1"}
	r := fakeRun{"id-1", "run"}
	foreign := map[string]func(p *fakeProject){ // what another program does meanwhile
		"nothing":           func(*fakeProject) {},
		"source grows":      func(p *fakeProject) { p.metric(r, stampAt(50), 50, `{"late":1}`) },
		"source is deleted": func(p *fakeProject) { deleteAsPython(p, "p", "id-1") },
		"source is renamed": func(p *fakeProject) { p.exec("UPDATE metrics SET run_name = 'new' WHERE run_id = 'id-1'") },
		"target grows":      func(p *fakeProject) { other(p, "q").metric(r, stampAt(51), 51, `{"late":2}`) },
		"target is deleted": func(p *fakeProject) { deleteAsPython(p, "q", "id-1") },
		"source media go":   func(p *fakeProject) { removeAll(p, "p/run/0") },
		"both change": func(p *fakeProject) {
			p.exec("DELETE FROM metrics WHERE step = 1")
			other(p, "q").metric(r, stampAt(52), 52, `{}`)
		},
		"a like-named comes": func(p *fakeProject) { other(p, "q").metric(fakeRun{"id-9", "run"}, stampAt(5), 0, `{}`) },
	}
	tests := []struct {
		point   int
		foreign string
		where   int
		rows    int // of the metrics
		stuck   bool
	}{
		{afterJournal, "nothing", inSource, 3, false},
		{afterJournal, "source grows", inSource, 4, false},
		{afterJournal, "source is deleted", nowhere, 0, false},
		{afterSomeMedia, "nothing", inSource, 3, false},
		{afterMedia, "nothing", inSource, 3, false},
		{afterMedia, "source grows", inSource, 4, false},
		{afterMedia, "source is deleted", nowhere, 0, false},
		{afterMedia, "source media go", inSource, 3, false},
		{afterMedia, "a like-named comes", inSource, 3, false},
		{afterTarget, "nothing", inTarget, 3, false},
		{afterTarget, "source grows", inSource, 4, false},
		{afterTarget, "source is deleted", inTarget, 3, false},
		{afterTarget, "target is deleted", inSource, 3, false},
		{afterTarget, "source media go", inTarget, 3, false},
		{afterTarget, "source is renamed", inBoth, 3, true},
		{afterTarget, "target grows", inBoth, 0, true},
		{afterTarget, "both change", inBoth, 0, true},
		{afterSource, "nothing", inTarget, 3, false},
		{afterSource, "target grows", inTarget, 4, false},
		{afterSource, "target is deleted", nowhere, 0, false},
	}
	for _, existing := range []bool{true, false} {
		for _, test := range tests {
			name := []string{"journal", "some media", "media", "target", "source"}[test.point] + ", " + test.foreign
			if !existing {
				if strings.HasPrefix(test.foreign, "target") && test.point < afterTarget || test.foreign == "a like-named comes" {
					continue // there is no target yet
				}
				name += ", new project"
			}
			t.Run(name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "store")
				p := newProject(t, dir, "p", genTraces)
				for i, file := range []string{"p/run/0/a.png", "p/run/0/b.png", "p/run/1/c.png"} {
					p.metric(r, stampAt(i), i, `{"img":`+p.media(file, "content of "+file)+`}`)
				}
				p.metric(fakeRun{"id-2", "other"}, stampAt(0), 0, `{"img":`+p.media("p/other/0/o.png", "o")+`}`)
				if existing {
					q := newProject(t, dir, "q", genTraces)
					q.metric(fakeRun{"id-3", "third"}, stampAt(0), 0, `{"a":1}`)
					q.done()
				}
				b := openDir(t, dir)
				before := mustExport(t, b, "p", "id-1")
				interruptMove(t, b, ref, "q", test.point)
				_, errSource := b.GetRun(t.Context(), ref)
				_, errTarget := b.GetRun(t.Context(), to)
				if moved := test.point >= afterTarget; errors.Is(errSource, trackio.ErrNotFound) != moved || errors.Is(errTarget, trackio.ErrNotFound) == moved {
					t.Fatalf("before recovery readers see it in the source: %v, in the target: %v", errSource, errTarget)
				}
				foreign[test.foreign](p)
				p.done()

				var notes []string
				ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })
				if err := b.recover(ctx); err != nil {
					t.Fatal(err)
				}
				if stuck := len(notes) > 0; stuck != test.stuck {
					t.Fatalf("notes: %q", notes)
				}
				where := 0
				for bit, place := range map[int]trackio.RunRef{inSource: ref, inTarget: to} {
					rows := rowsOf(t, b, place)
					if rows == 0 {
						continue
					}
					where |= bit
					if test.rows > 0 && rows != test.rows {
						t.Errorf("%d rows in %s, want %d", rows, place.Project, test.rows)
					}
				}
				if where != test.where {
					t.Fatalf("the run is in %d, want %d", where, test.where)
				}
				if test.stuck {
					return // both copies and the journal stay for a person to look at
				}
				place := map[int]trackio.RunRef{inSource: ref, inTarget: to}[where]
				if where != nowhere {
					if after := mustExport(t, b, place.Project, place.ID); mapsDiffer(after.bodies, before.bodies) {
						t.Errorf("media are %v, were %v", after.media, before.media)
					}
				}
				checkNothingLeft(t, dir)
				checkNoOrphans(t, b, dir, test.foreign)
				if x := mustExport(t, b, "p", "id-2"); x.bodies["0/o.png"] != "o" {
					t.Errorf("another run lost its file: %v", x.media)
				}
			})
		}
	}
}

func mapsDiffer(a, b map[string]string) bool {
	for k, v := range b {
		if a[k] != v {
			return true
		}
	}
	return len(a) != len(b)
}

// checkNoOrphans: every file is referred to by a row of its project, but for
// those that Python's own deletion leaves.
func checkNoOrphans(t *testing.T, b *Backend, dir, foreign string) {
	t.Helper()
	used := map[string]bool{}
	for _, project := range projectsOf(t, b) {
		more, err := b.usedFiles(t.Context(), project)
		if err != nil {
			t.Fatal(err)
		}
		for f := range more {
			used[f] = true
		}
	}
	for _, f := range mediaFiles(t, dir) {
		if !used[f] && (!strings.Contains(foreign, "is deleted") || !strings.Contains(f, "/run/")) {
			t.Errorf("%s belongs to nobody", f)
		}
	}
}

// rowsOf counts the metrics of a run in its database, whatever our readers say.
func rowsOf(t *testing.T, b *Backend, ref trackio.RunRef) int {
	t.Helper()
	if !b.hasDatabase(ref.Project) {
		return 0
	}
	return len(queryAll(t, b.db(ref.Project), "metrics", "SELECT id FROM metrics WHERE run_id = '"+ref.ID+"'"))
}

// other is another project of the store, opened as Python would.
func other(p *fakeProject, project string) *fakeProject {
	db, err := openForTest(filepath.Join(p.dir, project+".db"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { db.Close() })
	return &fakeProject{t: p.t, dir: p.dir, project: project, gen: genTraces, db: db}
}

// deleteAsPython deletes a run's rows and leaves its media.
func deleteAsPython(p *fakeProject, project, id string) {
	db := p
	if project != p.project {
		db = other(p, project)
	}
	for _, table := range []string{"metrics", "configs", "system_metrics", "alerts", "traces"} {
		db.exec("DELETE FROM "+table+" WHERE run_id = ?", id)
	}
}

func removeAll(p *fakeProject, media string) {
	if err := os.RemoveAll(filepath.Join(p.dir, "media", filepath.FromSlash(media))); err != nil {
		p.t.Fatal(err)
	}
}

func TestRecoverDelete(t *testing.T) {
	for _, committed := range []bool{false, true} {
		dir := t.TempDir()
		p := newProject(t, dir, "p", genTraces)
		p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"img":`+p.media("p/run/0/a.png", "a")+`,"two":`+p.media("p/run/0/b.png", "b")+`}`)
		p.done()
		b := openDir(t, dir)
		plan, err := b.planChange(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, guard{})
		if err != nil {
			t.Fatal(err)
		}
		op := b.newOperation(opDelete)
		op.Source, op.RunID, op.RunName, op.Revision, op.Files, op.Alone = "p", "id-1", "run", plan.revision, plan.media.onlyOwn(), true
		if err := b.begin(op); err != nil {
			t.Fatal(err)
		}
		if committed {
			if _, err := b.deleteRows(t.Context(), plan); err != nil {
				t.Fatal(err)
			}
			// The run comes back with one of its files before anybody recovers.
			q := other(p, "p")
			q.metric(fakeRun{"id-1", "run"}, stampAt(9), 9, `{"img":`+reference("p/run/0/b.png")+`}`)
			q.done()
		}
		op.abandon()
		if err := b.recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"p/run/0/a.png", "p/run/0/b.png"}
		if committed {
			want = want[1:]
		}
		if got := mediaFiles(t, dir); !slices.Equal(got, want) {
			t.Errorf("committed %v: files are %v, want %v", committed, got, want)
		}
		checkNothingLeft(t, dir)
	}
}

// An import that was killed before its commit leaves nothing, after it all.
func TestRecoverImport(t *testing.T) {
	for _, committed := range []bool{false, true} {
		dir := t.TempDir()
		b := openDir(t, dir)
		op := b.newOperation(opImport)
		op.Target, op.NewID = "p", "id-1"
		if err := b.own(op); err != nil {
			t.Fatal(err)
		}
		stream := func(yield func(trackio.Record, error) bool) {
			for r, err := range failingStream(nil) {
				if r != nil && !yield(r, err) {
					return
				}
			}
		}
		staged, err := b.stage(t.Context(), op, stream)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.journal(op); err != nil {
			t.Fatal(err)
		}
		if err := staged.media.place(t.Context()); err != nil {
			t.Fatal(err)
		}
		if committed {
			if _, err := b.commitStaged(t.Context(), op, staged); err != nil {
				t.Fatal(err)
			}
		}
		staged.media.close()
		op.abandon()
		if err := b.recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		files := mediaFiles(t, dir)
		if committed {
			if x := mustExport(t, b, "p", "id-1"); x.bodies["0/a.png"] != "a" || len(files) != 1 {
				t.Errorf("after the commit: %v %v", x.bodies, files)
			}
		} else if len(files) > 0 || b.hasDatabase("p") {
			t.Errorf("before the commit: %v, database %v", files, b.hasDatabase("p"))
		}
		checkNothingLeft(t, dir)
	}
}

// A living owner's operation is left alone.
func TestRecoveryLeavesTheLivingAlone(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"a":1}`)
	p.done()
	b := openDir(t, dir)
	op := b.newOperation(opDelete)
	op.Source, op.RunID = "p", "id-1"
	if err := b.begin(op); err != nil {
		t.Fatal(err)
	}
	if err := b.recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(op.journal); err != nil {
		t.Errorf("the journal of a living owner: %v", err)
	}
	if err := b.end(op); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, dir)
}
