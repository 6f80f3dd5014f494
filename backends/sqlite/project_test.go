package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// projectStore makes a store with a project that has everything a project can
// have, under two spellings, and another one beside it.
func projectStore(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	for _, project := range []string{"myprojv2", "other"} {
		p := newProject(t, dir, project, genTraces)
		fillProject(p)
		p.done()
		writeFile(t, filepath.Join(dir, "media", project, "files", "notes.txt"), "saved by hand")
		writeFile(t, filepath.Join(dir, "artifacts", project, "blobs", "sha256", "6f", "blob"), "weights")
	}
	writeFile(t, filepath.Join(dir, "media", "my.proj v2", "r1", "0", "raw.png"), "raw")
	writeFile(t, filepath.Join(dir, "my.proj v2.hash"), "h")
	return dir
}

func TestDeleteProject(t *testing.T) {
	dir := projectStore(t)
	b := openDir(t, dir)
	other := contentOf(t, dir)
	other = strings.Join(slices.DeleteFunc(strings.Split(other, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "myprojv2.db") || strings.HasPrefix(l, "media myprojv2/") || strings.HasPrefix(l, "media my.proj v2/")
	}), "\n")
	if err := b.DeleteProject(t.Context(), "myprojv2", trackio.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := contentOf(t, dir); after != other {
		t.Errorf("left:\n%s\nwant\n%s", after, other)
	}
	for _, gone := range []string{"myprojv2.db", "media/myprojv2", "media/my.proj v2", "artifacts/myprojv2", "my.proj v2.hash"} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "artifacts/other/blobs/sha256/6f/blob")); err != nil {
		t.Error(err)
	}
	if err := b.DeleteProject(t.Context(), "myprojv2", trackio.DeleteOptions{}); !errors.Is(err, trackio.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if _, err := b.ImportRun(t.Context(), trackio.RunRef{Project: "myprojv2", ID: "new"}, wholeStream()); err != nil {
		t.Errorf("anew: %v", err)
	}
	checkNothingLeft(t, dir)
}

// wholeStream is a run with one row and one file.
func wholeStream() func(yield func(trackio.Record, error) bool) {
	return func(yield func(trackio.Record, error) bool) {
		for r, err := range failingStream(nil) {
			if r != nil && !yield(r, err) {
				return
			}
		}
	}
}

func TestDeleteProjectRefused(t *testing.T) {
	young := time.Now().UTC().Format("2006-01-02T15:04:05+00:00")
	for name, change := range map[string]func(p *fakeProject){
		"a live run":        func(p *fakeProject) { p.metric(fakeRun{"live", "live"}, young, 0, `{}`) },
		"rows in the inbox": func(p *fakeProject) { writeFragment(p, "id-a") },
		"a lock":            func(p *fakeProject) { p.exec("BEGIN IMMEDIATE") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := projectStore(t)
			p := other(&fakeProject{t: t, dir: dir, gen: genTraces}, "myprojv2")
			p.gen = genTraces
			change(p)
			b := openDir(t, dir)
			if err := b.DeleteProject(t.Context(), "myprojv2", trackio.DeleteOptions{}); !errors.Is(err, trackio.ErrConflict) {
				t.Errorf("got %v", err)
			}
			if name == "a lock" {
				p.exec("ROLLBACK")
			}
			p.done()
			if runs := listAll(t, b, "myprojv2"); len(runs) == 0 {
				t.Error("the runs are gone")
			}
			if _, err := os.Stat(filepath.Join(dir, "media/my.proj v2/r1/0/raw.png")); err != nil {
				t.Error(err)
			}
			checkNothingLeft(t, dir)
		})
	}
}

// A deletion that was killed is finished once the database was out of sight, and
// has not happened before.
func TestRecoverDeleteProject(t *testing.T) {
	for _, point := range []string{"journal", "database", "files", "created anew"} {
		t.Run(point, func(t *testing.T) {
			dir := projectStore(t)
			b := openDir(t, dir)
			op := b.newOperation(opDeleteProject)
			op.Source = "myprojv2"
			if err := b.begin(op); err != nil {
				t.Fatal(err)
			}
			if point != "journal" {
				if err := makeDirs(b.dir, b.stagingOf(op)); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(b.db("myprojv2"), b.stagedProject(op)); err != nil {
					t.Fatal(err)
				}
			}
			switch point {
			case "files":
				if err := b.takeFiles(op); err != nil {
					t.Fatal(err)
				}
			case "created anew":
				p := newProject(t, dir, "myprojv2", genTraces)
				p.metric(fakeRun{"n", "new"}, stampAt(0), 0, `{"i":`+p.media("myprojv2/new/0/n.png", "n")+`}`)
				p.done()
			}
			op.abandon()
			if err := b.recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			switch point {
			case "journal":
				if len(listAll(t, b, "myprojv2")) == 0 {
					t.Error("the runs are gone")
				}
			case "created anew":
				if x := mustExport(t, b, "myprojv2", "n"); x.bodies["0/n.png"] != "n" {
					t.Errorf("the new run lost its file: %v", x.media)
				}
			default:
				if _, err := os.Lstat(filepath.Join(dir, "media", "my.proj v2")); err == nil || b.hasDatabase("myprojv2") {
					t.Error("the project is still there")
				}
			}
			checkNothingLeft(t, dir)
		})
	}
}

func TestExamine(t *testing.T) {
	dir := projectStore(t)
	b := openDir(t, dir)
	find := func(fix bool) []trackio.Finding {
		t.Helper()
		var all []trackio.Finding
		for f, err := range b.Examine(t.Context(), trackio.ExamineOptions{Fix: fix}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		}
		return all
	}
	if got := find(true); len(got) > 0 {
		t.Fatalf("a healthy store: %+v", got)
	}
	run := listAll(t, b, "other")[0]
	interruptMove(t, b, run.RunRef, "target", afterTarget)
	before := treeOf(t, dir)
	got := find(false)
	if len(got) != 1 || got[0].Kind != trackio.FindingOperation || got[0].Project != "other" || got[0].RunID != run.ID || got[0].Fixed || got[0].Hint == "" {
		t.Errorf("findings: %+v", got)
	}
	sameTree(t, dir, before)
	if got := find(true); len(got) != 1 || !got[0].Fixed || !strings.Contains(got[0].Message, "finished") {
		t.Errorf("fixed: %+v", got)
	}
	if got := find(false); len(got) > 0 {
		t.Errorf("after the fix: %+v", got)
	}
	writeFile(t, filepath.Join(b.ops(), "odd.json"), "{")
	if got := find(true); len(got) != 1 || got[0].Fixed || !strings.Contains(got[0].Message, "odd.json") {
		t.Errorf("a journal that cannot be read: %+v", got)
	}
}

func TestExamineBrokenDatabases(t *testing.T) {
	dir := projectStore(t)
	writeFile(t, filepath.Join(dir, "garbage.db"), strings.Repeat("no database ", 400))
	if err := os.Symlink("nowhere.db", filepath.Join(dir, "link.db")); err != nil {
		t.Fatal(err)
	}
	b := openDir(t, dir)
	var got []string
	for f, err := range b.Examine(t.Context(), trackio.ExamineOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind != findingDatabase || f.Hint == "" || !strings.Contains(f.Message, f.Project+".db") {
			t.Errorf("finding: %+v", f)
		}
		got = append(got, f.Project)
	}
	if !slices.Equal(got, []string{"garbage", "link"}) {
		t.Errorf("findings about %v", got)
	}
}

func TestRenameToAFreeName(t *testing.T) {
	for name, rename := range map[string]func(from, to string) error{"at once": renameNew, "checked": renameChecked} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		writeFile(t, from, "new")
		writeFile(t, to, "old")
		if err := rename(from, to); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: over a file: %v", name, err)
		}
		if data, err := os.ReadFile(to); err != nil || string(data) != "old" {
			t.Errorf("%s: it is %q now: %v", name, data, err)
		}
		if err := rename(from, to+"2"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
