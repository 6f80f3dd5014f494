package memory_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// stream returns a run of one row.
func stream(name, timestamp, spaceID string) func(func(trackio.Record, error) bool) {
	return func(yield func(trackio.Record, error) bool) {
		_ = yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: name}, Kinds: trackio.AllKinds}, nil) &&
			yield(&trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: timestamp, Metrics: []byte(`{"loss":1}`), SpaceID: spaceID}}}, nil)
	}
}

// TestRefusals sees that each refusal names its way out, and that force is one.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	now := trackio.FormatTime(time.Now())
	justNow := trackio.FormatTime(time.Now().Add(-memory.LiveFor - time.Second))
	for _, c := range []struct {
		what, timestamp, spaceID string
		delete, move             error
	}{
		{"an old run", "2026-01-01T00:00:00+00:00", "", nil, nil},
		{"a run whose last minute is over", justNow, "", nil, nil},
		{"a run of now", now, "", trackio.ErrConflict, trackio.ErrConflict},
		{"a run that is not delivered", "2026-01-01T00:00:00+00:00", "user/space", nil, trackio.ErrConflict},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := memory.New()
			refused := func(call string, err, want error) {
				t.Helper()
				if trackio.KindOf(err) != want {
					t.Errorf("%s: %v, want the kind %v", call, err, want)
				}
				if want != nil && trackio.HintOf(err) == "" {
					t.Errorf("%s: %v has no hint", call, err)
				}
			}
			ref := trackio.RunRef{Project: "p", ID: "1"}
			restore := func() {
				t.Helper()
				if _, err := b.ImportRun(ctx, ref, stream("r", c.timestamp, c.spaceID)); err != nil && !errors.Is(err, trackio.ErrExists) {
					t.Fatal(err)
				}
			}
			restore()
			refused("DeleteRun", b.DeleteRun(ctx, ref, trackio.DeleteOptions{}), c.delete)
			restore()
			refused("DeleteProject", b.DeleteProject(ctx, "p", trackio.DeleteOptions{}), c.delete)
			restore()
			_, err := b.MoveRun(ctx, ref, "q", trackio.MoveOptions{})
			refused("MoveRun", err, c.move)
			if err != nil {
				_, err := b.MoveRun(ctx, ref, "q", trackio.MoveOptions{Force: true})
				refused("MoveRun with Force", err, nil)
			}
			err = b.DeleteRun(ctx, trackio.RunRef{Project: "q", ID: "1"}, trackio.DeleteOptions{Force: true})
			refused("DeleteRun with Force", err, nil)
			restore()
			refused("DeleteProject with Force", b.DeleteProject(ctx, "p", trackio.DeleteOptions{Force: true}), nil)
			refused("DeleteProject of no project", b.DeleteProject(ctx, "p", trackio.DeleteOptions{Force: true}), trackio.ErrNotFound)
		})
	}
}

// TestMediaSum sees that bytes which are not what their record says are refused.
func TestMediaSum(t *testing.T) {
	b := memory.New()
	_, err := b.ImportRun(t.Context(), trackio.RunRef{Project: "p", ID: "1"}, func(yield func(trackio.Record, error) bool) {
		_ = yield(&trackio.Header{Kinds: trackio.AllKinds}, nil) &&
			yield(&trackio.Media{Path: "0/a.png", SHA256: "00", Body: strings.NewReader("")}, nil)
	})
	if trackio.KindOf(err) != trackio.ErrDataLoss {
		t.Errorf("ImportRun: %v, want data loss", err)
	}
}

// TestStoreOutlivesHandles sees what two handles on one store share.
func TestStoreOutlivesHandles(t *testing.T) {
	ctx := t.Context()
	store := memory.NewStore()
	first, second := store.Open(), store.Open()
	ref := trackio.RunRef{Project: "p", ID: "1"}
	if _, err := first.ImportRun(ctx, ref, stream("r", "2026-01-01T00:00:00+00:00", "")); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.GetRun(ctx, ref); !errors.Is(err, trackio.ErrUnavailable) {
		t.Errorf("GetRun on a closed handle: %v, want unavailable", err)
	}
	if info, err := second.GetRun(ctx, ref); err != nil || info.Name != "r" {
		t.Errorf("GetRun on the other handle: %q, %v", info.Name, err)
	}
	if _, err := memory.New().GetRun(ctx, ref); !errors.Is(err, trackio.ErrNotFound) {
		t.Errorf("GetRun on another store: %v, want not found", err)
	}
}
