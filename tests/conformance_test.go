package tests

import (
	"context"
	"testing"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/plugin/plugintest"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
)

func builtins() []plugin.Definition {
	return []plugin.Definition{
		plugin.Define(plugin.Info{Type: "sqlite", Version: "test"}, sqlite.Open),
		plugin.Define(plugin.Info{Type: "s3", Version: "test", Environment: s3.Environment()}, s3.Open),
	}
}

// TestConformanceInSubprocess: the built-in backends keep their promises in
// processes of their own, each handle in another one. A bucket on the disk serves
// one process at a time (see TestBucketInUse), so that it has no such handles.
func TestConformanceInSubprocess(t *testing.T) {
	t.Parallel()
	for _, storage := range storages {
		if storage.alone {
			continue
		}
		t.Run(storage.name, func(t *testing.T) {
			t.Parallel()
			backendtest.Test(t, func(t *testing.T) backendtest.Opener { return storage.new(t).inSubprocess(t) })
		})
	}
}

// inSubprocess opens a place in another process.
func (p place) inSubprocess(t *testing.T) backendtest.Opener {
	t.Helper()
	config, err := plugin.LoadConfig(p.config)
	if err != nil {
		t.Fatal(err)
	}
	block, err := config.Select("")
	if err != nil {
		t.Fatal(err)
	}
	host := &plugin.Host{Builtins: builtins()}
	return func(ctx context.Context) (trackio.Backend, error) { return host.Open(ctx, config, block) }
}

// TestConformanceOverLoopback: the same over the wire, within this process, for
// each backend once.
func TestConformanceOverLoopback(t *testing.T) {
	t.Parallel()
	for _, storage := range storages {
		if storage.served {
			continue
		}
		t.Run(storage.name, func(t *testing.T) {
			t.Parallel()
			backendtest.Test(t, func(t *testing.T) backendtest.Opener {
				p := storage.new(t)
				return func(ctx context.Context) (trackio.Backend, error) {
					backend, err := p.open(ctx)
					if err != nil {
						return nil, err
					}
					return plugintest.Loopback(t, backend), nil
				}
			})
		})
	}
}
