package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

func TestObjects(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		ctx := t.Context()
		body := []byte("0123456789")
		if _, err := b.Get(ctx, "x/y"); trackio.KindOf(err) != trackio.ErrNotFound {
			t.Errorf("an absent object: %v", err)
		}
		if _, err := b.Stat(ctx, "x/y"); trackio.KindOf(err) != trackio.ErrNotFound {
			t.Errorf("an absent object's attributes: %v", err)
		}
		if err := b.Put(ctx, "x/y", []byte("other"), "text/plain"); err != nil {
			t.Fatal(err)
		}
		if err := b.Put(ctx, "x/y", body, "text/plain"); err != nil {
			t.Fatal(err)
		}
		want(t, b, "x/y", body)
		if at, err := b.Stat(ctx, "x/y"); err != nil || at.Size != 10 || time.Since(at.ModTime).Abs() > time.Hour {
			t.Errorf("attributes %+v, %v", at, err)
		}
		for _, span := range []struct {
			offset, length int64
			want           string
		}{{0, -1, "0123456789"}, {3, -1, "3456789"}, {3, 4, "3456"}, {8, 10, "89"}, {0, 0, ""}, {4, 0, ""}, {9, 1, "9"}, {10, -1, ""}, {10, 5, ""}, {50, -1, ""}} {
			r, err := b.NewReader(ctx, "x/y", span.offset, span.length)
			if err != nil {
				t.Errorf("read %d+%d: %v", span.offset, span.length, err)
				continue
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != span.want {
				t.Errorf("read %d+%d: %q, %v; want %q", span.offset, span.length, got, err, span.want)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := b.Put(ctx, "empty", nil, ""); err != nil {
			t.Fatal(err)
		}
		want(t, b, "empty", nil)
		if err := b.Delete(ctx, []string{"x/y", "x/absent", "empty"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(ctx, "x/y"); trackio.KindOf(err) != trackio.ErrNotFound {
			t.Errorf("a deleted object: %v", err)
		}
		if keys := list(t, b, "", ""); len(keys) != 0 {
			t.Errorf("left: %q", keys)
		}
	})
}

func TestNamesThatAreNoKeys(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		for _, key := range []string{"", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "a\x00b", "a\nb", "a\xffb"} {
			if err := b.Put(t.Context(), key, nil, ""); trackio.KindOf(err) != trackio.ErrInvalid {
				t.Errorf("write %q: %v", key, err)
			}
			if _, err := b.Get(t.Context(), key); trackio.KindOf(err) != trackio.ErrInvalid {
				t.Errorf("read %q: %v", key, err)
			}
		}
	})
}

// TestCreateRace: of sixteen writers of different bodies one wins, and the
// others know it. Bodies of 5 MiB are those that gocloud's S3 loses.
func TestCreateRace(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		for round, size := range []int{10, 10, 10, 20 << 10, 5 << 20} {
			key := fmt.Sprintf("race/%d", round)
			bodies := make([][]byte, 16)
			var won, lost atomic.Int32
			var winner atomic.Int64
			var writers sync.WaitGroup
			for i := range bodies {
				bodies[i] = bytes.Repeat([]byte{byte('a' + i)}, size)
				writers.Go(func() {
					err := b.Create(t.Context(), key, bodies[i], "application/json")
					switch {
					case err == nil:
						won.Add(1)
						winner.Store(int64(i))
					case trackio.KindOf(err) == trackio.ErrExists:
						lost.Add(1)
					default:
						t.Errorf("writer %d: %v", i, err)
					}
				})
			}
			writers.Wait()
			if won.Load() != 1 || lost.Load() != 15 {
				t.Errorf("%d bytes: %d won and %d lost", size, won.Load(), lost.Load())
			}
			want(t, b, key, bodies[winner.Load()])
			if err := b.Create(t.Context(), key, bodies[winner.Load()], ""); err != nil {
				t.Errorf("the same body once more: %v", err)
			}
		}
		if err := b.Conditional(t.Context(), "race/0", []byte("probe"), ""); err != nil {
			t.Errorf("the probe on an object: %v", err)
		}
		if err := b.Conditional(t.Context(), "race/new", []byte("probe"), ""); err != nil {
			t.Errorf("the probe on none: %v", err)
		}
	})
}

// oddNames are what a bucket may have below "odd/".
var oddNames = []string{
	"a b", "a+b", "ä/ö", "日本/語", "50%", "%2F", "%41", `back\slash`, "#1", "a&b=c", "a?b", `"q"`, "a'b", "a;b", "a:b", "a*b", "<a>", "{a}|^~`",
	"-", ".hidden", "...", "b..", "a../b", "..a", "__0x41__", "__0x2f__x", "__0xzz__", "__0x+41__", "UPPER", "upper", "\u00e9", "e\u0301", "@at", "$1", "a,b", "[x]", "é=\u2028",
}

// TestList: more than two pages, nested and odd names, in byte order, complete;
// a directory beside one whose name starts with the same text, where gocloud's
// fileblob loses keys.
func TestList(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		var keys []string
		for i := range 1500 {
			keys = append(keys, fmt.Sprintf("run/3/f%04d", i))
		}
		for i := range 10 {
			keys = append(keys, fmt.Sprintf("run/3-retry/f%d", i))
		}
		for i := range 1000 {
			keys = append(keys, fmt.Sprintf("run/30/d%d/f%d", i%7, i))
		}
		for _, name := range oddNames {
			keys = append(keys, "odd/"+name)
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		put(t, b, keys)
		slices.Sort(keys)

		if got := list(t, b, "run/", ""); !slices.Equal(got, below(keys, "run/")) {
			t.Errorf("run/: %d keys of %d, or not in order", len(got), len(below(keys, "run/")))
		}
		got := list(t, b, "", "")
		slices.Sort(got) // S3's keys that gocloud escapes stand out of order
		if !slices.Equal(got, keys) {
			t.Errorf("%d keys of %d: %q", len(got), len(keys), difference(got, keys))
		}
		for _, prefix := range []string{"run/3", "run/3/", "run/30/d1", "run/3/f149", "nothing/", "od", "odd/__0x"} {
			got, want := list(t, b, prefix, ""), below(keys, prefix)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d keys of %d", prefix, len(got), len(want))
			}
		}
		for _, after := range []string{"run/3/f1490", "run/3/f1490x", "run/3-retry/f5", "run/3/", "run/30/d3", "zzz", "odd/"} {
			var want []string
			for _, key := range below(keys, "run/") {
				if key > after {
					want = append(want, key)
				}
			}
			if got := list(t, b, "run/", after); !slices.Equal(got, want) {
				t.Errorf("after %s: %d keys of %d", after, len(got), len(want))
			}
		}
		for _, name := range oddNames {
			want(t, b, "odd/"+name, []byte("odd/"+name))
		}
		if err := b.Delete(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		if left := list(t, b, "", ""); len(left) != 0 {
			t.Errorf("deleted, and still there: %q", left)
		}
	})
}

func put(t *testing.T, b *bucket.Bucket, keys []string) {
	t.Helper()
	queue := make(chan string)
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			for key := range queue {
				if err := b.Put(t.Context(), key, []byte(key), "text/plain"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, key := range keys {
		queue <- key
	}
	close(queue)
	writers.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func below(keys []string, prefix string) []string {
	var found []string
	for _, key := range keys {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
			found = append(found, key)
		}
	}
	return found
}

func difference(got, want []string) (d []string) {
	for _, key := range want {
		if _, found := slices.BinarySearch(got, key); !found {
			d = append(d, "-"+key)
		}
	}
	for _, key := range got {
		if _, found := slices.BinarySearch(want, key); !found {
			d = append(d, "+"+key)
		}
	}
	return d
}

func noise(size int) []byte {
	body := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = source.Read(body)
	return body
}

func TestUpload(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		ctx := t.Context()
		for _, size := range []int{0, 1, 20 << 10, 8<<20 - 1, 8 << 20, 8<<20 + 1, 16 << 20, 40 << 20} {
			body := noise(size)
			for _, announced := range []int64{int64(size), -1} {
				if err := b.Upload(ctx, "up", bytes.NewReader(body), announced, "image/png"); err != nil {
					t.Fatalf("%d bytes (%d announced): %v", size, announced, err)
				}
				want(t, b, "up", body)
			}
		}
		for _, announced := range []int64{9, 11, 0} {
			if err := b.Upload(ctx, "bad", bytes.NewReader(noise(10)), announced, ""); trackio.KindOf(err) != trackio.ErrInvalid {
				t.Errorf("10 bytes, %d announced: %v", announced, err)
			}
		}
		for _, announced := range []int64{20 << 20, 22 << 20} {
			if err := b.Upload(ctx, "bad", bytes.NewReader(noise(21<<20)), announced, ""); trackio.KindOf(err) != trackio.ErrInvalid {
				t.Errorf("21 MiB, %d announced: %v", announced, err)
			}
		}
		if keys := list(t, b, "", ""); !slices.Equal(keys, []string{"up"}) {
			t.Errorf("left: %q", keys)
		}
	})
}

var errBroken = errors.New("the source broke")

// TestUploadBroken: a stream that breaks, or a context that ends, leaves nothing.
func TestUploadBroken(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		body := noise(40 << 20)
		for _, at := range []int{0, 100, 8 << 20, 9 << 20, 30 << 20, len(body)} {
			source := io.MultiReader(bytes.NewReader(body[:at]), failing{errBroken})
			if err := b.Upload(t.Context(), "x", source, int64(len(body)), ""); !errors.Is(err, errBroken) {
				t.Errorf("broken after %d: %v", at, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			source = io.MultiReader(bytes.NewReader(body[:at]), calling{cancel}, bytes.NewReader(body[at:]))
			if err := b.Upload(ctx, "x", source, int64(len(body)), ""); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled after %d: %v", at, err)
			}
			cancel()
		}
		if keys := list(t, b, "", ""); len(keys) != 0 {
			t.Errorf("left: %q", keys)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// calling calls something when a stream has come to it.
type calling struct{ do func() }

func (c calling) Read([]byte) (int, error) { c.do(); return 0, io.EOF }

func TestReadOnly(t *testing.T) {
	for _, p := range providers() {
		t.Run(p.name, func(t *testing.T) {
			url := p.url(t)
			b := open(t, bucket.Config{URL: url, ReadOnly: true})
			for name, err := range map[string]error{
				"create": b.Create(t.Context(), "a", nil, ""), "put": b.Put(t.Context(), "a", nil, ""),
				"upload": b.Upload(t.Context(), "a", bytes.NewReader(nil), 0, ""), "delete": b.Delete(t.Context(), []string{"a"}),
				"probe": b.Conditional(t.Context(), "a", nil, ""),
			} {
				if trackio.KindOf(err) != trackio.ErrPermission {
					t.Errorf("%s: %v", name, err)
				}
			}
			if keys := list(t, b, "", ""); len(keys) != 0 {
				t.Errorf("written: %q", keys)
			}
		})
	}
}
