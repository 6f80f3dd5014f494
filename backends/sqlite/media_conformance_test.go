package sqlite

import (
	"context"
	"crypto/rand"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
)

// directoryURL is the URL of a directory as a bucket, which is created by the
// first change.
func directoryURL(dir string) string {
	path := filepath.ToSlash(dir)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: "create_dir=true"}).String()
}

// memoryURL is the URL of a bucket in memory that is used nowhere else.
func memoryURL() string { return "mem://" + strings.ToLower(rand.Text()) }

// TestConformanceMediaInBucket: with media in a bucket the directory keeps every
// promise too.
func TestConformanceMediaInBucket(t *testing.T) {
	for scheme, media := range map[string]func(t *testing.T) string{
		"file": func(t *testing.T) string { return directoryURL(t.TempDir()) },
		"s3":   func(t *testing.T) string { return servers.Start(t, servers.Versitygw).Bucket(t) },
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			backendtest.Test(t, func(t *testing.T) backendtest.Opener {
				config := Config{Dir: t.TempDir(), Media: media(t)}
				return func(ctx context.Context) (trackio.Backend, error) { return Open(ctx, config) }
			})
		})
	}
}
