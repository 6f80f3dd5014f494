package sqlite

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// What Python wrote to the disk and what is in the bucket is one run; a file is
// missing when it is in neither.
func TestMediaInBucketAreRead(t *testing.T) {
	s := newBucketStore(t)
	s.whole(mainRef)
	s.clean()
}

// Listing runs and projects, and changes without media, never contact the bucket.
func TestMediaInBucketAreOpenedLate(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "p", genTraces)
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"a":1}`)
	p.done()
	s := openBucketStore(t, dir, "s3://no-such-bucket?endpoint=http://127.0.0.1:1")
	listAll(t, s.b, "p")
	mustExport(t, s.b, "p", "id-1")
	if _, err := s.b.RenameRun(t.Context(), mainRef, "new", trackio.RenameOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := s.b.MoveRun(t.Context(), mainRef, "q", trackio.MoveOptions{}); err != nil {
		t.Error(err)
	}
	if err := s.b.DeleteRun(t.Context(), trackio.RunRef{Project: "q", ID: "id-1"}, trackio.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, dir)
}

// A bucket that cannot be used is an error that names the attribute, nothing is
// said to be missing or not found, and nothing changes.
func TestMediaInBucketUnusable(t *testing.T) {
	s := newBucketStore(t)
	for name, media := range map[string]string{
		"refused":      "s3://b?endpoint=http://127.0.0.1:1&region=us-east-1",
		"no directory": "file://" + filepath.ToSlash(filepath.Join(t.TempDir(), "not there")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", "x")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
			broken := openBucketStore(t, s.dir, strings.ReplaceAll(media, " ", "%20"))
			before := contentOf(t, s.dir)
			_, exportErr := export(t.Context(), broken.b, mainRef, trackio.ExportOptions{})
			_, moveErr := broken.b.MoveRun(t.Context(), mainRef, "q", trackio.MoveOptions{})
			_, importErr := broken.b.ImportRun(t.Context(), trackio.RunRef{Project: "q", ID: "new"}, newStream())
			for what, err := range map[string]error{
				"export": exportErr, "move": moveErr, "import": importErr,
				"delete":         broken.b.DeleteRun(t.Context(), mainRef, trackio.DeleteOptions{}),
				"delete project": broken.b.DeleteProject(t.Context(), "p", trackio.DeleteOptions{}),
			} {
				if !errors.Is(err, trackio.ErrUnavailable) || errors.Is(err, trackio.ErrNotFound) || !strings.Contains(err.Error(), "media =") || trackio.HintOf(err) == "" {
					t.Errorf("%s: %v (%v)", what, err, trackio.HintOf(err))
				}
			}
			if after := contentOf(t, s.dir); after != before {
				t.Errorf("the store changed:\n%s\nwas\n%s", after, before)
			}
			checkNothingLeft(t, s.dir)
		})
	}
}

// What is no place for media is refused when the backend is opened.
func TestMediaAttribute(t *testing.T) {
	dir := t.TempDir()
	for media, valid := range map[string]bool{
		"": true, filepath.Join(dir, "media"): true, filepath.Join(dir, "elsewhere"): true, "gs://b?prefix=x": true,
		"media": false, dir: false, "ftp://host/dir": false, "s3://": false, "s3://b/path": false, "s3://key:secret@b": false,
		"file://" + filepath.ToSlash(dir): false, filepath.Dir(dir): false, "file:///?prefix=" + filepath.ToSlash(filepath.Dir(dir)): false,
		"file://" + filepath.ToSlash(filepath.Dir(dir)) + "?prefix=media": true,
	} {
		b, err := Open(t.Context(), Config{Dir: dir, Media: media})
		if valid != (err == nil) || err != nil && (!errors.Is(err, trackio.ErrInvalid) || !strings.HasPrefix(err.Error(), "media =") || strings.Contains(err.Error(), "not open")) {
			t.Errorf("media = %q: %v", media, err)
		}
		if err == nil {
			b.Close()
		}
	}
	for _, media := range []string{"s3://key:secret@b", "s3://b?endpoint=http://key:secret@h", "ftp://key:secret@h/d?token=secret"} {
		if _, err := Open(t.Context(), Config{Dir: dir, Media: media}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("media = %q: %v", media, err)
		}
	}
}

// The name of a bucket is the same however it is reached.
func TestBucketName(t *testing.T) {
	one, err1 := bucketName("s3://b?region=eu-west-1&endpoint=http://h&prefix=a/")
	two, err2 := bucketName("s3://b?prefix=a&profile=x&endpoint=http://h")
	if err := errors.Join(err1, err2); err != nil || one != two {
		t.Errorf("%q and %q: %v", one, two, err)
	}
	if other, err := bucketName("s3://b?prefix=b&endpoint=http://h"); err != nil || other == one {
		t.Errorf("%q: %v", other, err)
	}
}

// newStream is a run with a small file, many more, and a large one.
func newStream() iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		row := `{"i":` + reference("0/a.png") + `,"l":` + reference("0/z.bin") + `}`
		_ = yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "new"}}, nil) &&
			yield(&trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: stampAt(0), Metrics: []byte(row)}}}, nil) &&
			yield(&trackio.Media{Path: "0/a.png", Size: 1, Body: strings.NewReader("a")}, nil) &&
			yield(&trackio.Media{Path: "0/z.bin", Size: int64(len(largePNG)), Body: bytes.NewReader([]byte(largePNG))}, nil)
	}
}

// Moving and deleting in the bucket: the run keeps its media, another run keeps
// the file that it shares, and nothing is left over; on the disk the same.
func TestMoveAndDeleteInBucket(t *testing.T) {
	for _, kind := range servers.Kinds() {
		t.Run(string(kind), func(t *testing.T) { moveAndDelete(t, servers.Start(t, kind).Bucket(t)) })
	}
	t.Run("mem", func(t *testing.T) { moveAndDelete(t, memoryURL()) })
	t.Run("file", func(t *testing.T) { moveAndDelete(t, directoryURL(t.TempDir())) })
}

func moveAndDelete(t *testing.T, media string) {
	s := newBucketStoreAt(t, media)
	before := mustExport(t, s.b, "p", "id-1").digest
	if _, err := s.b.MoveRun(t.Context(), mainRef, "q", trackio.MoveOptions{}); err != nil {
		t.Fatal(err)
	}
	moved := trackio.RunRef{Project: "q", ID: "id-1"}
	s.whole(moved)
	s.clean()
	if after := mustExport(t, s.b, "q", "id-1").digest; after != before {
		t.Error("the run is another after the move")
	}
	if keys := s.keys(); !slices.Contains(keys, "p/run/1/shared.png") || slices.Contains(keys, "p/run/0/bucket.png") {
		t.Errorf("the bucket holds %q", keys)
	}
	if _, err := s.b.RenameRun(t.Context(), moved, "renamed", trackio.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	s.whole(moved)
	if _, err := s.b.MoveRun(t.Context(), moved, "p", trackio.MoveOptions{}); err != nil {
		t.Fatal(err)
	}
	s.whole(mainRef)
	s.clean()
	if _, err := s.b.ImportRun(t.Context(), trackio.RunRef{Project: "p", ID: "new"}, newStream()); err != nil {
		t.Fatal(err)
	}
	if x := mustExport(t, s.b, "p", "new"); x.bodies["0/a.png"] != "a" || x.bodies["0/z.bin"] != largePNG {
		t.Errorf("imported: %v", x.media)
	}
	for _, id := range []string{"new", "id-1"} {
		if err := s.b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: id}, trackio.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.clean()
	}
	if keys, files := s.keys(), mediaFiles(t, s.dir); len(keys) != 2 || len(files) != 0 {
		t.Errorf("left: %q and %q", keys, files)
	}
}

// A project goes with all its objects, whoever refers to them, and with no other
// project's.
func TestDeleteProjectInBucket(t *testing.T) {
	s := newBucketStore(t)
	s.put("p/files/left.txt", "nobody refers to it: perhaps another directory's project p")
	s.put("p2/run/0/other.png", "another project's")
	if err := s.b.DeleteProject(t.Context(), "p", trackio.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if keys := s.keys(); !slices.Equal(keys, []string{"p/files/left.txt", "p2/run/0/other.png"}) {
		t.Errorf("left: %q", keys)
	}
	checkNothingLeft(t, s.dir)
	if _, err := os.Stat(filepath.Join(s.dir, "media", "p")); err == nil {
		t.Error("its directory is there still")
	}
}

// An object that is there when it is looked at and is lost while it is read ends
// the stream in an error.
func TestExportLosesObject(t *testing.T) {
	s := newBucketStore(t)
	mustExport(t, s.b, "p", "id-1")
	for n := 1; ; n++ {
		s.tap.set(func(i int, _ string) (bool, bool) { return i == n, false })
		_, err := export(t.Context(), s.b, mainRef, trackio.ExportOptions{})
		if len(s.tap.seen()) < n {
			if err != nil || n < 6 {
				t.Errorf("after %d requests: %v", n, err)
			}
			return
		}
		if !errors.Is(err, trackio.ErrUnavailable) {
			t.Errorf("request %d, %s: %v", n, s.tap.seen()[n-1], err)
		}
	}
}
