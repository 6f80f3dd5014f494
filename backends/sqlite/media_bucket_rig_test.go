package sqlite

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// tapped is a bucket whose requests are counted, and fail when a test wants it.
type tapped struct {
	objects
	mu    sync.Mutex
	calls []string
	// fail is asked before each request, with its number from 1 on. Failing late
	// means that the request was carried out and its answer was lost.
	fail func(n int, call string) (early, late bool)
}

var errTapped = trackio.Errorf(trackio.ErrUnavailable, "the connection broke")

func (o *tapped) do(call string, do func() error) error {
	o.mu.Lock()
	o.calls = append(o.calls, call)
	n := len(o.calls)
	var early, late bool
	if o.fail != nil {
		early, late = o.fail(n, call)
	}
	o.mu.Unlock()
	if early {
		return errTapped
	}
	if err := do(); err != nil {
		return err
	}
	if late {
		return errTapped
	}
	return nil
}

func (o *tapped) set(fail func(n int, call string) (early, late bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls, o.fail = nil, fail
}

func (o *tapped) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

func (o *tapped) NewReader(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, err error) {
	err = o.do("get "+key, func() (err error) {
		r, err = o.objects.NewReader(ctx, key, offset, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (o *tapped) Stat(ctx context.Context, key string) (a bucket.Attributes, err error) {
	err = o.do("stat "+key, func() (err error) {
		a, err = o.objects.Stat(ctx, key)
		return err
	})
	return a, err
}

func (o *tapped) List(ctx context.Context, prefix string) iter.Seq2[bucket.Entry, error] {
	return func(yield func(bucket.Entry, error) bool) {
		if err := o.do("list "+prefix, func() error { return nil }); err != nil {
			yield(bucket.Entry{}, err)
			return
		}
		for entry, err := range o.objects.List(ctx, prefix) {
			if !yield(entry, err) {
				return
			}
		}
	}
}

func (o *tapped) Put(ctx context.Context, key string, body []byte, contentType string) error {
	return o.do("put "+key, func() error { return o.objects.Put(ctx, key, body, contentType) })
}

func (o *tapped) Upload(ctx context.Context, key string, r io.Reader, size int64, contentType string) error {
	return o.do("upload "+key, func() error { return o.objects.Upload(ctx, key, r, size, contentType) })
}

func (o *tapped) Copy(ctx context.Context, from, to, contentType string) error {
	return o.do("copy "+from, func() error { return o.objects.Copy(ctx, from, to, contentType) })
}

func (o *tapped) Delete(ctx context.Context, keys []string) error {
	return o.do("delete "+strings.Join(keys, " "), func() error { return o.objects.Delete(ctx, keys) })
}

// bucketStore is a Trackio directory with media in a bucket.
type bucketStore struct {
	t   *testing.T
	dir string
	url string
	b   *Backend
	tap *tapped // the bucket as b sees it
}

// openBucketStore opens the directory, as another process would, with its bucket
// tapped.
func openBucketStore(t *testing.T, dir, media string) *bucketStore {
	t.Helper()
	b, err := Open(t.Context(), Config{Dir: dir, Media: media})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	s := &bucketStore{t: t, dir: dir, url: media, b: b, tap: &tapped{}}
	dial := b.bucket.dial
	b.bucket.dial = func(ctx context.Context, readOnly bool) (objects, error) {
		store, err := dial(ctx, readOnly)
		if err != nil {
			return nil, err
		}
		s.tap.objects = store
		return s.tap, nil
	}
	return s
}

// fresh opens the store once more, with nothing tapped into.
func (s *bucketStore) fresh() *bucketStore { return openBucketStore(s.t, s.dir, s.url) }

// raw is the bucket itself.
func (s *bucketStore) raw() *bucket.Bucket {
	s.t.Helper()
	raw, err := bucket.Open(context.WithoutCancel(s.t.Context()), bucket.Config{URL: s.url, Shared: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { raw.Close() })
	return raw
}

func (s *bucketStore) put(key, content string) {
	s.t.Helper()
	if err := s.raw().Put(s.t.Context(), key, []byte(content), ""); err != nil {
		s.t.Fatal(err)
	}
}

func (s *bucketStore) remove(keys ...string) {
	s.t.Helper()
	if err := s.raw().Delete(context.WithoutCancel(s.t.Context()), keys); err != nil {
		s.t.Fatal(err)
	}
}

// drop empties the bucket: one in memory lives as long as the process.
func (s *bucketStore) drop() { s.remove(s.keys()...) }

// keys lists the bucket.
func (s *bucketStore) keys() []string {
	s.t.Helper()
	var keys []string
	for entry, err := range s.raw().List(context.WithoutCancel(s.t.Context()), "") {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, entry.Key)
	}
	return keys
}

var (
	mainRef  = trackio.RunRef{Project: "p", ID: "id-1"}
	largePNG = strings.Repeat("large\n", smallFile/6+1000)
)

// newBucketStore makes a project p with a run id-1 whose files are in the bucket,
// on the disk, in both and in neither; a run id-2 of the same name that shares one
// of them; and a run id-3 with one of its own.
func newBucketStore(t *testing.T) *bucketStore {
	t.Helper()
	return newBucketStoreAt(t, memoryURL())
}

func newBucketStoreAt(t *testing.T, media string) *bucketStore {
	t.Helper()
	s := openBucketStore(t, filepath.Join(t.TempDir(), "store"), media)
	t.Cleanup(s.drop)
	r := fakeRun{"id-1", "run"}
	p := newProject(t, s.dir, "p", genTraces)
	for i, file := range []string{"p/run/0/bucket.png", "p/run/0/large.png", "p/run/1/shared.png", "p/run/1/gone.png"} {
		p.metric(r, stampAt(i), i, `{"img":`+reference(file)+`}`)
	}
	s.put("p/run/0/bucket.png", "in the bucket")
	s.put("p/run/0/large.png", largePNG)
	s.put("p/run/1/shared.png", "shared")
	p.metric(r, stampAt(5), 5, `{"img":`+p.media("p/run/2/disk.png", "on the disk")+`,"two":`+p.media("p/run/2/both.png", "old")+`}`)
	s.put("p/run/2/both.png", "new")
	p.metric(fakeRun{"id-2", "run"}, stampAt(9), 0, `{"img":`+reference("p/run/1/shared.png")+`}`)
	p.metric(fakeRun{"id-3", "other"}, stampAt(9), 0, `{"img":`+reference("p/other/0/o.png")+`}`)
	s.put("p/other/0/o.png", "o")
	p.done()
	return s
}

// mainBodies is what is to be read of the run id-1.
var mainBodies = map[string]string{
	"0/bucket.png": "in the bucket", "0/large.png": largePNG, "1/shared.png": "shared", "2/disk.png": "on the disk", "2/both.png": "new",
}

// whole fails the test unless the run is all there, its media read in both ways.
func (s *bucketStore) whole(ref trackio.RunRef) {
	s.t.Helper()
	x := mustExport(s.t, s.b, ref.Project, ref.ID)
	if !maps.Equal(x.bodies, mainBodies) || x.media["1/gone.png"] != "missing" {
		s.t.Errorf("media of %v are %v", ref, x.media)
	}
	hashed, err := export(s.t.Context(), s.b, ref, trackio.ExportOptions{NoBodies: true})
	if err != nil || !maps.Equal(hashed.media, x.media) || !slices.IsSorted(hashed.paths) {
		s.t.Errorf("without bodies: %v, %v", hashed, err)
	}
}

// clean fails the test when an operation has left something, an object or file
// belongs to nobody, or another run has lost a file.
func (s *bucketStore) clean() {
	s.t.Helper()
	checkNothingLeft(s.t, s.dir)
	used := map[string]bool{}
	for _, project := range projectsOf(s.t, s.b) {
		more, err := s.b.usedFiles(s.t.Context(), project)
		if err != nil {
			s.t.Fatal(err)
		}
		maps.Copy(used, more)
	}
	for _, name := range append(s.keys(), mediaFiles(s.t, s.dir)...) {
		if !used[name] {
			s.t.Errorf("%s belongs to nobody", name)
		}
	}
	if !s.b.hasDatabase("p") {
		return
	}
	for id, path := range map[string]string{"id-2": "1/shared.png", "id-3": "0/o.png"} {
		if x := mustExport(s.t, s.b, "p", id); x.media[path] == "missing" {
			s.t.Errorf("run %s lost its file", id)
		}
	}
}

// where tells in which of the projects the run is.
func (s *bucketStore) where(refs ...trackio.RunRef) []string {
	s.t.Helper()
	var found []string
	for _, ref := range refs {
		_, err := s.b.GetRun(s.t.Context(), ref)
		if err == nil {
			found = append(found, ref.Project)
		} else if !errors.Is(err, trackio.ErrNotFound) {
			s.t.Fatal(err)
		}
	}
	return found
}
