package s3

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	servers.StopAll()
	os.Exit(code)
}

// TestConformance: a bucket keeps every promise of a backend, on each kind of
// store.
func TestConformance(t *testing.T) {
	for name, fresh := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for their stores most of the time
			backendtest.Test(t, func(t *testing.T) backendtest.Opener {
				config := fresh(t)
				return func(ctx context.Context) (trackio.Backend, error) { return Open(ctx, config) }
			})
		})
	}
}

// stores are the stores that the tests run on: each call makes a new bucket.
func stores() map[string]func(t *testing.T) Config {
	all := map[string]func(t *testing.T) Config{
		"memory": func(t *testing.T) Config {
			return Config{Bucket: "mem://" + filepath.Base(filepath.Dir(t.TempDir()))}
		},
		"disk": func(t *testing.T) Config { return Config{Bucket: "file://" + filepath.ToSlash(t.TempDir())} },
	}
	for _, kind := range servers.Kinds() {
		all[string(kind)] = func(t *testing.T) Config { return Config{Bucket: servers.Start(t, kind).Bucket(t)} }
	}
	return all
}
