package tests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/plugin/plugintest"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
)

func builtins() []plugin.Definition {
	return []plugin.Definition{plugin.Define(plugin.Info{Type: "sqlite", Version: "test"}, sqlite.Open)}
}

// TestConformanceInSubprocess: the built-in backend keeps its promises in a
// process of its own, each handle in another one.
func TestConformanceInSubprocess(t *testing.T) {
	t.Parallel()
	backendtest.Test(t, func(t *testing.T) backendtest.Opener {
		dir := t.TempDir()
		path := filepath.Join(dir, "config.hcl")
		text := fmt.Sprintf("backend \"sqlite\" \"local\" {\n  dir = %q\n}\n", filepath.Join(dir, "store"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := plugin.LoadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		block, err := config.Select("local")
		if err != nil {
			t.Fatal(err)
		}
		host := &plugin.Host{Builtins: builtins()}
		return func(ctx context.Context) (trackio.Backend, error) { return host.Open(ctx, config, block) }
	})
}

// TestConformanceOverLoopback: the same over the wire, within this process.
func TestConformanceOverLoopback(t *testing.T) {
	t.Parallel()
	backendtest.Test(t, func(t *testing.T) backendtest.Opener {
		dir := t.TempDir()
		return func(ctx context.Context) (trackio.Backend, error) {
			backend, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
			if err != nil {
				return nil, err
			}
			return plugintest.Loopback(t, backend), nil
		}
	})
}
