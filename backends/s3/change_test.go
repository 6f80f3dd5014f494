package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// TestUnknownOutcomeIsTold: a caller who has given up is told so, unless a commit
// may have happened.
func TestUnknownOutcomeIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	unknown := fmt.Errorf("a commit: %w", ErrOutcomeUnknown)
	if err := cause(ctx, errClosed); !errors.Is(err, errClosed) {
		t.Errorf("before the end: %v", err)
	}
	cancel()
	if err := cause(ctx, errClosed); !errors.Is(err, context.Canceled) {
		t.Errorf("after it: %v", err)
	}
	if err := cause(ctx, unknown); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("with an unknown outcome: %v", err)
	}
}

// TestCommittedIsNoError: when the config of a run that was just imported or moved
// cannot be read, the run is there all the same.
func TestCommittedIsNoError(t *testing.T) {
	b := opened(t, Config{Bucket: "mem://committed"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	run := &ledger.Run{ID: "id", Name: "name", Data: "20260101T000000Z-0a", ConfigInManifest: true, Commit: 7}
	info := b.committed(ctx, "p", run)
	if info.RunRef != (trackio.RunRef{Project: "p", ID: "id"}) || info.Name != "name" || info.Revision != "7" {
		t.Errorf("%+v", info)
	}
}

// TestNegativeSize: what another program's backend says about a file is not
// believed.
func TestNegativeSize(t *testing.T) {
	b := opened(t, Config{Bucket: "mem://negative"})
	records := func(yield func(trackio.Record, error) bool) {
		_ = yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "run"}, Kinds: trackio.AllKinds}, nil) &&
			yield(&trackio.Media{Path: "a.png", Size: -1, Body: strings.NewReader("a")}, nil)
	}
	_, err := b.ImportRun(t.Context(), trackio.RunRef{Project: "p", ID: "id"}, records)
	if trackio.KindOf(err) != trackio.ErrInvalid {
		t.Errorf("imported: %v", err)
	}
}
