package bucket_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// TestCopy: a copy is the whole object under another key, whatever its size and
// the characters of both keys; the original stays.
func TestCopy(t *testing.T) {
	large := make([]byte, 20<<20) // in parts, so that its ETag is no hash
	for i := range large {
		large[i] = byte(rand.Uint32())
	}
	everywhere(t, func(t *testing.T, b *bucket.Bucket) {
		ctx := t.Context()
		for _, test := range []struct {
			from, to string
			body     []byte
		}{
			{"p/run/0/a.png", "q/run-1/0/a.png", []byte("small")},
			{"empty", "q/empty", nil},
			{"a b+c%2Fd&e=f/ü日.bin", "to/a b+c%2Fd&e=f/ü日.bin", []byte("odd names")},
			{"two../__0x2f__x", "to/two../__0x2f__x", []byte("like an escape")},
			{"large", "q/large", large},
		} {
			if err := b.Upload(ctx, test.from, bytes.NewReader(test.body), int64(len(test.body)), "image/png"); err != nil {
				t.Fatal(err)
			}
			for range 2 { // over what is there too
				if err := b.Copy(ctx, test.from, test.to, "image/png"); err != nil {
					t.Fatalf("%q: %v", test.from, err)
				}
			}
			want(t, b, test.from, test.body)
			want(t, b, test.to, test.body)
			if err := b.Delete(ctx, []string{test.from}); err != nil {
				t.Fatal(err)
			}
			want(t, b, test.to, test.body)
			if err := b.Copy(ctx, test.from, "new", ""); trackio.KindOf(err) != trackio.ErrNotFound {
				t.Errorf("a copy of an absent object: %v", err)
			}
			if _, err := b.Stat(ctx, "new"); trackio.KindOf(err) != trackio.ErrNotFound {
				t.Errorf("it made something: %v", err)
			}
		}
		if err := b.Copy(ctx, "q/large", "a//b", ""); trackio.KindOf(err) != trackio.ErrInvalid {
			t.Errorf("to what is no key: %v", err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := b.Copy(ended, "q/large", "late", ""); err == nil {
			t.Error("copied after the end of its context")
		}
	})
}

func TestCheckURL(t *testing.T) {
	for url, valid := range map[string]bool{
		"s3://b?prefix=x": true, "gs://b": true, "azblob://b": true, "file:///d": true, "mem://x": true,
		"": false, "b": false, "s3://": false, "ftp://b": false, "s3://k:s@b": false, "s3://b/path": false, "s3://b?prefix=../x": false,
		"s3://b?endpoint=http://h:9000": true, "s3://b?endpoint=http://k:s@h": false, "s3://b?endpoint=h": false,
	} {
		if err := bucket.CheckURL(url); valid != (err == nil) || err != nil && trackio.KindOf(err) != trackio.ErrInvalid {
			t.Errorf("%q: %v", url, err)
		}
	}
}
