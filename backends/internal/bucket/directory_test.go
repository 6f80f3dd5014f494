//go:build unix

package bucket_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

func TestDirectoryServesOneProcess(t *testing.T) {
	url := "file://" + t.TempDir()
	stop := holder(t, url)
	within(t, 5*time.Second, func() {
		_, err := bucket.Open(t.Context(), bucket.Config{URL: url})
		said(t, err, trackio.ErrConflict, "in use by another process", "one process")
	})
	shared := open(t, bucket.Config{URL: url, Shared: true})
	if err := shared.Create(t.Context(), "a", []byte("1"), ""); err != nil {
		t.Error(err)
	}
	reading := open(t, bucket.Config{URL: url, ReadOnly: true})
	want(t, reading, "a", []byte("1"))
	stop()

	first, second := open(t, bucket.Config{URL: url}), open(t, bucket.Config{URL: url + "?prefix=p"})
	if err := first.Put(t.Context(), "p/x", []byte("2"), ""); err != nil {
		t.Fatal(err)
	}
	want(t, second, "x", []byte("2"))
}

// TestDirectoryWaits: a process that is about to end is waited for.
func TestDirectoryWaits(t *testing.T) {
	url := "file://" + t.TempDir()
	stop := holder(t, url)
	time.AfterFunc(300*time.Millisecond, stop)
	open(t, bucket.Config{URL: url})
}

func TestDirectoryFiles(t *testing.T) {
	dir := t.TempDir()
	b := open(t, bucket.Config{URL: "file://" + dir + "/new/store?create_dir=true&no_tmp_dir=1&metadata=skip"})
	store := filepath.Join(dir, "new", "store")
	if err := b.Put(t.Context(), "a b/ä%+.png", []byte("1"), "image/png"); err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(filepath.Join(store, "a b", "ä%+.png")); err != nil || string(body) != "1" {
		t.Errorf("the file: %q, %v", body, err)
	}
	// What others lay beside it: a link out, a link in, a pipe, an empty directory.
	secret := filepath.Join(dir, "secret")
	for _, err := range []error{
		os.WriteFile(secret, []byte("s"), 0o600), os.Symlink(secret, filepath.Join(store, "link")),
		os.Symlink(dir, filepath.Join(store, "up")), syscall.Mkfifo(filepath.Join(store, "pipe"), 0o600),
		os.MkdirAll(filepath.Join(store, "empty", "dir"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for key, kind := range map[string]error{
		"link": trackio.ErrPermission, "up/secret": trackio.ErrPermission, "pipe": trackio.ErrNotFound,
		"empty": trackio.ErrNotFound, "empty/dir": trackio.ErrNotFound, "a b/ä%+.png/x": trackio.ErrNotFound,
	} {
		if body, err := b.Get(t.Context(), key); trackio.KindOf(err) != kind {
			t.Errorf("%s: %q, %v", key, body, err)
		}
	}
	if err := b.Put(t.Context(), "up/planted", []byte("1"), ""); err == nil {
		t.Error("written through a link that leads out")
	}
	if _, err := os.Stat(filepath.Join(dir, "planted")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("planted outside: %v", err)
	}
	if keys := list(t, b, "", ""); !slices.Equal(keys, []string{"a b/ä%+.png"}) {
		t.Errorf("listed: %q", keys)
	}
	for _, key := range []string{".trackio-store-tmp/x", ".trackio-store-lock"} {
		if err := b.Put(t.Context(), key, nil, ""); trackio.KindOf(err) != trackio.ErrInvalid {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, key := range []string{"a b", "a b/ä%+.png/x"} {
		if err := b.Create(t.Context(), key, nil, ""); err == nil {
			t.Errorf("%s: created over a directory or below a file", key)
		}
	}
	if err := b.Delete(t.Context(), []string{"a b/ä%+.png", "empty"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(store, "a b")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty directory stays: %v", err)
	}
	if names, err := os.ReadDir(filepath.Join(store, ".trackio-store-tmp")); err != nil || len(names) != 0 {
		t.Errorf("temporary files: %v, %v", names, err)
	}
}

// TestDirectoryCopiesLinks: the copy of a symbolic link holds what the link leads
// to, also when it lies deeper.
func TestDirectoryCopiesLinks(t *testing.T) {
	dir := t.TempDir()
	b := open(t, bucket.Config{URL: "file://" + dir})
	if err := b.Put(t.Context(), "real/file", []byte("1"), ""); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "links"), 0o700), os.Symlink(filepath.Join("..", "real", "file"), filepath.Join(dir, "links", "file"))); err != nil {
		t.Fatal(err)
	}
	if err := b.Copy(t.Context(), "links/file", "far/below/file", ""); err != nil {
		t.Fatal(err)
	}
	want(t, b, "far/below/file", []byte("1"))
}

// TestDirectoryPruning: creating beside a delete that removes empty directories.
func TestDirectoryPruning(t *testing.T) {
	b := open(t, bucket.Config{URL: "file://" + t.TempDir()})
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			key := fmt.Sprintf("a/b/c/%d", i)
			for range 100 {
				if err := b.Create(t.Context(), key, []byte(key), ""); err != nil {
					t.Error(err)
				}
				if err := b.Delete(t.Context(), []string{key}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// TestDirectoryStale: a killed writer's file goes with a later opening.
func TestDirectoryStale(t *testing.T) {
	dir := t.TempDir()
	temp := filepath.Join(dir, ".trackio-store-tmp")
	old, young := filepath.Join(temp, "old"), filepath.Join(temp, "young")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	open(t, bucket.Config{URL: "file://" + dir})
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old one: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young one: %v", err)
	}
}

func TestMemoryIsShared(t *testing.T) {
	first, second := open(t, bucket.Config{URL: "mem://shared-a"}), open(t, bucket.Config{URL: "mem://shared-a?prefix=p"})
	other := open(t, bucket.Config{URL: "mem://shared-b"})
	if err := first.Put(t.Context(), "p/x", []byte("1"), ""); err != nil {
		t.Fatal(err)
	}
	want(t, second, "x", []byte("1"))
	if keys := list(t, other, "", ""); len(keys) != 0 {
		t.Errorf("another bucket has %q", keys)
	}
}

// TestNoPartsLeft: S3 keeps, and bills, the parts of uploads that do not end.
func TestNoPartsLeft(t *testing.T) {
	b, p := faulty(t, servers.Versitygw)
	name := b.String()[len("s3://"):]
	if err := b.Upload(t.Context(), "x", &failingAfter{n: 20 << 20}, -1, ""); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	p.always(func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" }, reset)
	if err := b.Upload(t.Context(), "x", bytes.NewReader(noise(40<<20)), 40<<20, ""); trackio.KindOf(err) != trackio.ErrUnavailable {
		t.Errorf("%v", err)
	}
	p.set(nil)
	left, err := servers.Start(t, servers.Versitygw).S3().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &name})
	if err != nil || len(left.Uploads) != 0 {
		t.Errorf("%d uploads are left, %v", len(left.Uploads), err)
	}
	if keys := list(t, b, "", ""); len(keys) != 0 {
		t.Errorf("objects: %q", keys)
	}
}

type failingAfter struct{ n int }

func (f *failingAfter) Read(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errBroken
	}
	return len(p), nil
}
