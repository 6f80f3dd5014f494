//go:build !windows

package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// openHandwritten opens a backend that has a fault.
func openHandwritten(t *testing.T, fault, body string) (*Client, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), handwrittenPrefix+fault)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(write(t, filepath.Join(t.TempDir(), "c.hcl"), "backend \"hand\" \"h\" {\n plugin = \""+program+"\"\n"+body+"\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&Host{}).Open(t.Context(), cfg, cfg.Blocks[0])
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func TestHandwrittenStreams(t *testing.T) {
	for fault, want := range map[string]error{
		"nothing":             nil,
		"no end":              trackio.ErrDataLoss,
		"header twice":        trackio.ErrInvalid,
		"no header":           trackio.ErrInvalid,
		"empty frame":         errors.ErrUnsupported,
		"stray chunk":         trackio.ErrDataLoss,
		"media without bytes": trackio.ErrDataLoss,
		"wrong digest":        trackio.ErrDataLoss,
		"wrong counts":        trackio.ErrDataLoss,
		"more after the end":  trackio.ErrDataLoss,
		"error after the end": trackio.ErrDataLoss,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			c, err := openHandwritten(t, fault, "mtls = false")
			if err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range c.ExportRun(t.Context(), trackio.RunRef{}, trackio.ExportOptions{}) {
				last = err
			}
			if !errors.Is(last, want) {
				t.Errorf("got %v", last)
			}
		})
	}
}

func TestHandwrittenStart(t *testing.T) {
	t.Setenv("HAND_DECLARED", "x")
	for _, test := range []struct {
		fault, body string
		kind        error
		words, hint string
	}{
		{"later protocol", "mtls = false", errors.ErrUnsupported, "speaks protocol 2, this trackio speaks 1", "install"},
		{"without tls", "", trackio.ErrUnavailable, "does not answer as a backend", "mtls = false"},
	} {
		_, err := openHandwritten(t, test.fault, test.body)
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.words) || !strings.Contains(trackio.HintOf(err), test.hint) {
			t.Errorf("%s: %v (%s)", test.fault, err, trackio.HintOf(err))
		}
	}
	// It declares every variable there is, in every way, and one by name.
	if _, err := openHandwritten(t, "tells environment", "mtls = false"); !errors.Is(err, trackio.ErrNotFound) || err.Error() != "HAND_DECLARED" {
		t.Errorf("it got the variables %v", err)
	}
}

func TestHandwrittenThatAreNeverReady(t *testing.T) {
	for _, fault := range []string{"never accepts", "never describes"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := openHandwritten(t, fault, "mtls = false")
			if took := time.Since(begin); !errors.Is(err, trackio.ErrUnavailable) || !strings.Contains(err.Error(), "was not ready") || took > startTimeout+3*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}

func TestHandwrittenCapabilities(t *testing.T) {
	c, err := openHandwritten(t, "lies about capabilities", "mtls = false")
	if err != nil {
		t.Fatal(err)
	}
	mover, ok := trackio.As[trackio.Mover](c)
	if !ok {
		t.Fatal("the capability is missing")
	}
	if _, err := mover.MoveRun(t.Context(), trackio.RunRef{}, "p", trackio.MoveOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil { // which it does not have either
		t.Errorf("closing: %v", err)
	}
}
