package sqlite

import (
	"context"
	"testing"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
)

// TestConformance: the directory keeps every promise of a backend.
func TestConformance(t *testing.T) {
	backendtest.Test(t, func(t *testing.T) backendtest.Opener {
		dir := t.TempDir()
		return func(ctx context.Context) (trackio.Backend, error) { return Open(ctx, Config{Dir: dir}) }
	})
}
