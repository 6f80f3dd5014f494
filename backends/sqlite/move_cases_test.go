package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// oddNames are names of runs that paths, SQL and command lines trip over.
var oddNames = []string{
	"team/sweep 1", "größe-π", "..", "../../x", "-rf", "--help", strings.Repeat("long", 75), "files", "files/x",
	"a'b\"c;--", "50%_[x]*?", "C:\\x", "a\\b", " ", "new\nline", "run-0123456789abcdef0123456789abcdef", "3", "id-0",
}

// Each odd run lies in a database as Python would have written it: with its
// media where its name leads, unless that is outside.
func TestMoveAndDeleteOddNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	p := newProject(t, dir, "odd", genTraces)
	outside := filepath.Join(filepath.Dir(dir), "x")
	if err := os.WriteFile(outside, []byte("outside"), 0o666); err != nil {
		t.Fatal(err)
	}
	for i, name := range oddNames {
		r := fakeRun{fmt.Sprintf("id-%d", i), name}
		file := "odd/" + slashed(name) + "/0/" + fmt.Sprintf("%08d.png", i)
		if !filepath.IsLocal(file) || strings.Contains(file, "..") || len(name) > 255 {
			file = fmt.Sprintf("odd/safe/0/%08d.png", i)
		}
		p.metric(r, stampAt(i), 0, `{"loss":1,"img":`+p.media(file, "content of "+name)+`}`)
	}
	p.done()
	inv := newInventory(t, dir)
	b := openDir(t, dir)
	for _, target := range []string{"other", "odd"} {
		for _, project := range []string{"odd", "other"} {
			if project == target {
				continue
			}
			for _, run := range listAll(t, b, project) {
				moveOne(t, b, run, target)
			}
		}
		inv.check(t)
	}
	if got := len(listAll(t, b, "odd")); got != len(oddNames) {
		t.Errorf("%d runs came back, want %d", got, len(oddNames))
	}
	for _, run := range listAll(t, b, "odd") {
		if err := b.DeleteRun(t.Context(), run.RunRef, trackio.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		inv.deleted(run)
		inv.check(t)
	}
	if left := mediaFiles(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "outside" {
		t.Errorf("a file outside the store was touched: %q %v", data, err)
	}
}

// Two runs of one name share a directory; each has its own files in it.
func TestMoveOneOfTwoNamedAlike(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "dups", genTraces)
	one, two := fakeRun{"id-1", "same"}, fakeRun{"id-2", "same"}
	shared := p.media("dups/same/0/both.png", "both")
	p.metric(one, stampAt(1), 0, `{"a":`+p.media("dups/same/0/one.png", "one")+`,"s":`+shared+`}`)
	p.metric(two, stampAt(2), 0, `{"a":`+p.media("dups/same/0/two.png", "two")+`,"s":`+shared+`}`)
	p.media("dups/same/0/unwritten.png", "its row is not there yet")
	p.done()
	target := newProject(t, dir, "target", genTraces)
	target.metric(fakeRun{"id-3", "same"}, stampAt(3), 0, `{"a":`+target.media("target/same/0/one.png", "another one")+`}`)
	target.done()

	b := openDir(t, dir)
	before := mustExport(t, b, "dups", "id-2")
	others := mustExport(t, b, "target", "id-3")
	moveOne(t, b, listAll(t, b, "dups")[0], "target")
	for _, keep := range []struct {
		project, id string
		was         *exported
	}{{"dups", "id-2", before}, {"target", "id-3", others}} {
		if now := mustExport(t, b, keep.project, keep.id); now.digest != keep.was.digest || now.media["0/both.png"] == "missing" {
			t.Errorf("%s/%s changed: %v, was %v", keep.project, keep.id, now.media, keep.was.media)
		}
	}
	want := []string{"dups/same/0/both.png", "dups/same/0/two.png", "dups/same/0/unwritten.png", "target/same/0/both.png", "target/same/0/one.png"}
	var private int
	got := slices.DeleteFunc(mediaFiles(t, dir), func(f string) bool {
		moved := strings.HasPrefix(f, "target/run-") && strings.HasSuffix(f, "/0/one.png")
		if moved {
			private++
		}
		return moved
	})
	if !slices.Equal(got, want) || private != 1 {
		t.Errorf("files are %v and %d with a directory of its own, want %v and 1", got, private, want)
	}
	if err := b.DeleteRun(t.Context(), trackio.RunRef{Project: "dups", ID: "id-2"}, trackio.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := mediaFiles(t, dir); slices.Contains(got, "dups/same/0/both.png") || !slices.Contains(got, "dups/same/0/unwritten.png") {
		t.Errorf("after the second is deleted: %v", got)
	}
}

// What is odd about the payloads and files of a run goes along as it is.
func TestMoveOddPayloads(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	r := fakeRun{"id-1", "run"}
	p.media("p/run/0/win.png", "win")
	p.media("p/run/0/esc.png", "esc")
	p.media("my p/run/0/raw.png", "raw")
	for i, payload := range []string{
		`{"a":1.0,"b":1,"c":9007199254740993,"d":1e400,"e":-0,"f":"NaN"}`,
		`{"img":{"_type":"trackio.image","file_path":"p\\run\\0\\win.png"}}`,
		`{"img":{"file_path":"p\/run\/0\/esc.png","_type":"trackio.image"}, "white" : "space" }`,
		`{"img":{"_type":"trackio.image","file_path":"p/run/0/gone.png"}}`,
		`{"img":{"_type":"trackio.image","file_path":"elsewhere/run/0/x.png"}}`,
		`{"img":{"_type":"trackio.image","file_path":"../../etc/passwd"}}`,
		`{"img":{"_type":"trackio.image","file_path":"/etc/passwd"}}`,
		`{"text":"file_path is \"file_path\" in a text","x":{"file_path":"p/run/0/win.png"}}`,
	} {
		p.metric(r, stampAt(i), i, payload)
	}
	p.done()
	b := openDir(t, dir)
	before := queryAll(t, filepath.Join(dir, "p.db"), "", "SELECT metrics FROM metrics ORDER BY id")
	moveOne(t, b, listAll(t, b, "p")[0], "q")
	after := queryAll(t, filepath.Join(dir, "q.db"), "", "SELECT metrics FROM metrics ORDER BY id")
	for i := range before {
		want := before[i]
		switch i {
		case 1:
			want = strings.ReplaceAll(want, `p\\run\\0\\win.png`, "q/run/0/win.png")
		case 2:
			want = strings.ReplaceAll(want, `p\/run\/0\/esc.png`, "q/run/0/esc.png")
		case 3:
			want = strings.ReplaceAll(want, "p/run/0/gone.png", "q/run/0/gone.png")
		}
		if after[i] != want {
			t.Errorf("row %d is\n%s\nwant\n%s", i, after[i], want)
		}
	}
	if got := mediaFiles(t, dir); !slices.Equal(got, []string{"my p/run/0/raw.png", "q/run/0/esc.png", "q/run/0/win.png"}) {
		t.Errorf("files: %v", got)
	}
}

// A project that is not canonical has its files under the raw name.
func TestMoveOutOfARawDirectory(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "myprojv2", genNames)
	r := fakeRun{"", "r1"}
	p.metric(r, stampAt(0), 0, `{"img":`+p.media("my.proj v2/r1/0/a.png", "a")+`}`)
	p.done()
	b := openDir(t, dir)
	moveOne(t, b, listAll(t, b, "myprojv2")[0], "new")
	if got := mediaFiles(t, dir); !slices.Equal(got, []string{"new/r1/0/a.png"}) {
		t.Errorf("files: %v", got)
	}
}

// A run known by its name gets the same id on every try.
func TestDerivedIDsAreStable(t *testing.T) {
	make1 := func() (*Backend, string) {
		dir := t.TempDir()
		p := newProject(t, dir, "old", genNames)
		fillProject(p)
		p.done()
		return openDir(t, dir), dir
	}
	var ids []string
	for range 2 {
		b, _ := make1()
		run := listAll(t, b, "old")[0]
		moved, err := b.MoveRun(t.Context(), run.RunRef, "new", trackio.MoveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(moved.ID) != 32 || moved.ID == run.ID {
			t.Errorf("id %q", moved.ID)
		}
		ids = append(ids, moved.ID)
	}
	if ids[0] != ids[1] {
		t.Errorf("ids differ: %v", ids)
	}
}

// Between two databases of old Trackio the name is the id, and stays.
func TestMoveBetweenNameKeyedProjects(t *testing.T) {
	dir := t.TempDir()
	for i, project := range []string{"one", "two"} {
		p := newProject(t, dir, project, genNames)
		p.metric(fakeRun{"", "same"}, stampAt(i), 0, `{"a":1}`)
		p.metric(fakeRun{"", "only " + project}, stampAt(i), 0, `{"a":`+p.media(project+"/only "+project+"/0/x.png", project)+`}`)
		p.done()
	}
	b := openDir(t, dir)
	moved, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "one", ID: "only one"}, "two", trackio.MoveOptions{})
	if err != nil || moved.ID != "only one" {
		t.Fatalf("%+v %v", moved, err)
	}
	if x := mustExport(t, b, "two", "only one"); x.bodies["0/x.png"] != "one" {
		t.Errorf("media: %v", x.bodies)
	}
	if _, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "one", ID: "same"}, "two", trackio.MoveOptions{}); !errors.Is(err, trackio.ErrExists) {
		t.Errorf("a name that is taken: %v", err)
	}
	newer := newProject(t, dir, "newer", genTraces)
	newer.metric(fakeRun{"id-9", "nine"}, stampAt(9), 0, `{"a":1}`)
	newer.done()
	if _, err := b.MoveRun(t.Context(), trackio.RunRef{Project: "newer", ID: "id-9"}, "two", trackio.MoveOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an id that cannot be kept: %v", err)
	}
}

// Files that wait for delivery are followed to their new place.
func TestMoveUndelivered(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	r := fakeRun{"id-1", "run"}
	p.metric(r, stampAt(0), 0, `{"img":`+p.media("p/run/0/a.png", "a")+`}`)
	p.exec("UPDATE metrics SET space_id = 'me/space', log_id = 'l1'")
	p.insert("pending_uploads", r, "space_id step file_path created_at kind", "me/space", 0, filepath.Join(dir, "media/p/run/0/a.png"), stampAt(0), "media")
	p.done()
	b := openDir(t, dir)
	ref := trackio.RunRef{Project: "p", ID: "id-1"}
	if _, err := b.MoveRun(t.Context(), ref, "q", trackio.MoveOptions{}); !errors.Is(err, trackio.ErrConflict) {
		t.Fatalf("undelivered rows: %v", err)
	}
	if _, err := b.MoveRun(t.Context(), ref, "q", trackio.MoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "q.db")
	if got := queryAll(t, path, "", "SELECT file_path FROM pending_uploads"); !slices.Equal(got, []string{filepath.Join(dir, "media/q/run/0/a.png")}) {
		t.Errorf("pending uploads: %v", got)
	}
	if got := queryAll(t, path, "", "SELECT log_id || space_id FROM metrics"); !slices.Equal(got, []string{"l1me/space"}) {
		t.Errorf("undelivered rows: %v", got)
	}
	if left := queryAll(t, filepath.Join(dir, "p.db"), "", "SELECT file_path FROM pending_uploads"); len(left) > 0 {
		t.Errorf("left in the source: %v", left)
	}
}

// Artifacts are the project's: they stay, and the caller is told.
func TestArtifactsStay(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	r := fakeRun{"id-1", "run"}
	p.metric(r, stampAt(0), 0, `{"a":1}`)
	p.exec("INSERT INTO artifacts VALUES (1, 'model', 'model', NULL, ?)", stampAt(0))
	p.exec("INSERT INTO artifact_versions VALUES (1, 1, 0, 'd', '[]', NULL, 3, 'id-1', 'run', ?)", stampAt(0))
	p.insert("run_artifact_links", r, "artifact_version_id direction created_at", 1, "output", stampAt(0))
	p.done()
	b := openDir(t, dir)
	var notes []string
	ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })
	if _, err := b.MoveRun(ctx, trackio.RunRef{Project: "p", ID: "id-1"}, "q", trackio.MoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "artifacts") {
		t.Errorf("notes: %q", notes)
	}
	got := queryAll(t, filepath.Join(dir, "p.db"), "", "SELECT (SELECT count(*) FROM run_artifact_links) || '|' || coalesce(producer_run_id, 'none') || '|' || manifest FROM artifact_versions")
	if !slices.Equal(got, []string{"0|none|[]"}) {
		t.Errorf("artifacts: %v", got)
	}
}
