package bucket_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// onFaultyServers runs a test on a bucket of every server behind a proxy.
func onFaultyServers(t *testing.T, test func(t *testing.T, b *bucket.Bucket, p *proxy)) {
	for _, kind := range servers.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			b, p := faulty(t, kind)
			test(t, b, p)
		})
	}
}

// TestCreateFaults: whatever happens to the requests of a Create, it tells its
// own object from another's, and says so when it cannot.
func TestCreateFaults(t *testing.T) {
	body := []byte(`{"id":"mine"}`)
	for name, c := range map[string]struct {
		faults func(p *proxy)
		there  bool // another's object
		kind   error
		what   error // also in the tree
	}{
		"reply swallowed":            {faults: func(p *proxy) { p.first(writes, swallow) }},
		"reply swallowed, one there": {faults: func(p *proxy) { p.first(writes, swallow) }, there: true, kind: trackio.ErrExists},
		"412 for my own object":      {faults: func(p *proxy) { p.first(writes, twice) }},
		"412 for another's":          {faults: func(p *proxy) { p.first(writes, twice) }, there: true, kind: trackio.ErrExists},
		"lost on the way":            {faults: func(p *proxy) { p.first(writes, reset, reset) }},
		"lost, swallowed, look fails": {faults: func(p *proxy) {
			n := 0
			p.set(func(r *http.Request) fault { n++; return []fault{reset, pass, swallow, reset, pass, pass}[min(n-1, 5)] })
		}},
		"busy":        {faults: func(p *proxy) { p.first(writes, slowDown, slowDown) }},
		"always busy": {faults: func(p *proxy) { p.always(writes, slowDown) }, kind: trackio.ErrUnavailable},
		"always lost": {faults: func(p *proxy) { p.always(writes, reset) }, kind: trackio.ErrUnavailable, what: bucket.ErrOutcomeUnknown},
		"written, and then silence": {faults: func(p *proxy) {
			n := 0
			p.set(func(r *http.Request) fault { n++; return []fault{swallow, reset}[min(n-1, 1)] })
		}, kind: trackio.ErrUnavailable, what: bucket.ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			onFaultyServers(t, func(t *testing.T, b *bucket.Bucket, p *proxy) {
				if c.there {
					if err := b.Create(t.Context(), "log/1", []byte("another's"), ""); err != nil {
						t.Fatal(err)
					}
				}
				c.faults(p)
				err := b.Create(t.Context(), "log/1", body, "application/json")
				if trackio.KindOf(err) != c.kind || errors.Is(err, bucket.ErrOutcomeUnknown) != (c.what != nil) {
					t.Errorf("%v", err)
				}
				p.set(nil)
				if c.kind == nil {
					want(t, b, "log/1", body)
				}
				if c.there {
					want(t, b, "log/1", []byte("another's"))
				}
			})
		})
	}
}

// TestTruncated: half an answer is an error, for an object, a range and a list.
func TestTruncated(t *testing.T) {
	onFaultyServers(t, func(t *testing.T, b *bucket.Bucket, p *proxy) {
		put(t, b, []string{"a", "b", "c", "d"})
		body := noise(300 << 10)
		if err := b.Put(t.Context(), "x", body, ""); err != nil {
			t.Fatal(err)
		}
		p.always(reads, truncate)
		if _, err := b.Get(t.Context(), "x"); trackio.KindOf(err) != trackio.ErrUnavailable {
			t.Errorf("an object: %v", err)
		}
		r, err := b.NewReader(t.Context(), "x", 100, 200<<10)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			r.Close()
		}
		if trackio.KindOf(err) != trackio.ErrUnavailable {
			t.Errorf("a range: %v", err)
		}
		err = nil
		for _, e := range b.List(t.Context(), "") {
			err = e
		}
		if err == nil {
			t.Error("a list cut short ended without an error")
		}
		p.set(nil)
		want(t, b, "x", body)
	})
}

// TestPassing: faults that pass are not seen.
func TestPassing(t *testing.T) {
	onFaultyServers(t, func(t *testing.T, b *bucket.Bucket, p *proxy) {
		for _, f := range []fault{reset, slowDown} {
			p.first(any1, f, f)
			if err := b.Put(t.Context(), "x", []byte("1"), ""); err != nil {
				t.Errorf("put: %v", err)
			}
			p.first(any1, f, f)
			want(t, b, "x", []byte("1"))
			p.first(any1, f, f)
			if _, err := b.Stat(t.Context(), "x"); err != nil {
				t.Errorf("stat: %v", err)
			}
			p.first(any1, f, f)
			if keys := list(t, b, "", ""); len(keys) != 1 {
				t.Errorf("list: %q", keys)
			}
			body := noise(20 << 20)
			n := 0
			p.set(func(*http.Request) fault { // every second request
				if n++; n%2 == 1 {
					return f
				}
				return pass
			})
			if err := b.Upload(t.Context(), "big", bytes.NewReader(body), -1, ""); err != nil {
				t.Errorf("upload: %v", err)
			}
			p.set(nil)
			want(t, b, "big", body)
			p.first(any1, f, f)
			if err := b.Delete(t.Context(), []string{"x", "big"}); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
	})
}

// TestBlackHole: a server that does not answer is reported in seconds.
func TestBlackHole(t *testing.T) {
	onFaultyServers(t, func(t *testing.T, b *bucket.Bucket, p *proxy) {
		big := noise(2 << 20)
		if err := b.Put(t.Context(), "x", big, ""); err != nil {
			t.Fatal(err)
		}
		p.always(any1, hang)
		check := func(name string, do func() error) {
			t.Run(name, func(t *testing.T) {
				within(t, 15*time.Second, func() {
					err := do()
					if trackio.KindOf(err) != trackio.ErrUnavailable || trackio.HintOf(err) == "" {
						t.Errorf("%v", err)
					}
					if err != nil && len(err.Error()) > 160 {
						t.Errorf("a long text: %v", err)
					}
				})
			})
		}
		check("get", func() error { _, err := b.Get(t.Context(), "x"); return err })
		check("stat", func() error { _, err := b.Stat(t.Context(), "x"); return err })
		check("put", func() error { return b.Put(t.Context(), "x", nil, "") })
		check("create", func() error { return b.Create(t.Context(), "y", []byte("1"), "") })
		check("upload", func() error { return b.Upload(t.Context(), "y", bytes.NewReader(noise(10<<20)), -1, "") })
		check("delete", func() error { return b.Delete(t.Context(), []string{"x"}) })
		check("delete two", func() error { return b.Delete(t.Context(), []string{"x", "y"}) })
		check("list", func() (err error) {
			for _, e := range b.List(t.Context(), "") {
				err = e
			}
			return err
		})
		p.always(reads, stall)
		check("body", func() error { _, err := b.Get(t.Context(), "x"); return err })
	})
}

// TestDeleteRequests: on S3 a thousand objects are one request.
func TestDeleteRequests(t *testing.T) {
	b := open(t, bucket.Config{URL: servers.Start(t, servers.Versitygw).Bucket(t)})
	var keys []string
	for i := range 2500 {
		keys = append(keys, "k/"+strings.Repeat("x", i%50)+time.Duration(i).String())
	}
	before := b.Requests()
	if err := b.Delete(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	after := b.Requests()
	if after.Total-before.Total != 3 || after.ByMethod["POST"]-before.ByMethod["POST"] != 3 {
		t.Errorf("%v after %v", after, before)
	}
}
