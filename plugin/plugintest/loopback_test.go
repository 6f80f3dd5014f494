package plugintest_test

import (
	"context"
	"testing"

	"github.com/trackio-go/trackio/plugin/plugintest"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
	"github.com/trackio-go/trackio/trackio/memory"
)

// The protocol keeps every promise that a backend keeps without it.
func TestConformanceOverLoopback(t *testing.T) {
	backendtest.Test(t, func(t *testing.T) backendtest.Opener {
		store := memory.NewStore()
		return func(context.Context) (trackio.Backend, error) {
			return plugintest.Loopback(t, store.Open()), nil
		}
	})
}

// plain hides the capabilities of a backend.
type plain struct{ trackio.Backend }

func TestCapabilitiesAreThoseOfTheBackend(t *testing.T) {
	with, without := plugintest.Loopback(t, memory.New()), plugintest.Loopback(t, plain{memory.New()})
	for _, test := range []struct {
		backend trackio.Backend
		want    bool
	}{{with, true}, {without, false}} {
		_, moves := trackio.As[trackio.Mover](test.backend)
		_, renames := trackio.As[trackio.Renamer](test.backend)
		_, lists := trackio.As[trackio.AlertLister](test.backend)
		_, sums := trackio.As[trackio.Summarizer](test.backend)
		_, deletes := trackio.As[trackio.ProjectDeleter](test.backend)
		_, examines := trackio.As[trackio.Examiner](test.backend)
		_, collects := trackio.As[trackio.Collector](test.backend)
		_, changes := trackio.As[trackio.BulkChanger](test.backend)
		_, other := trackio.As[interface{ NobodyHasThis() }](test.backend)
		if moves != test.want || renames != test.want || lists != test.want || sums != test.want ||
			deletes != test.want || examines != test.want || collects != test.want || changes != test.want || other {
			t.Errorf("found %v %v %v %v %v %v %v %v, want %v; unknown: %v", moves, renames, lists, sums, deletes, examines, collects, changes, test.want, other)
		}
	}
}
