package ledger

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func TestTidy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := newMemory()
		l := process(t, m)
		grow(t, l, 50)
		abandoned := partKey(32, "abandoned")
		ahead := partKey(64, "being-written")
		for _, key := range []string{abandoned, ahead, "state/parts/notes.txt", "state/0notes"} {
			m.objects[key] = stored{body: []byte("x"), at: time.Now()}
		}
		want := dump(t, fresh(t, m))
		all := m.keys("")
		if got, err := l.Tidy(ctx, time.Hour, false); err != nil || len(got.Keys) != 0 {
			t.Errorf("tidied up what is young: %v %v", got, err)
		}
		time.Sleep(2 * time.Hour)
		would, err := l.Tidy(ctx, time.Hour, true)
		if err != nil || len(would.Keys) == 0 || would.Bytes == 0 {
			t.Errorf("would remove %v %v", would, err)
		}
		if now := m.keys(""); !slices.Equal(now, all) {
			t.Errorf("a dry run changed %v into %v", all, now)
		}
		old := fresh(t, m)
		did, err := l.Tidy(ctx, time.Hour, false)
		if err != nil || !slices.Equal(did.Keys, would.Keys) || did.Bytes != would.Bytes {
			t.Errorf("removed %v %v, announced %v", did, err, would)
		}
		if got := m.keys(checkpointPrefix); !slices.Equal(got, []string{checkpointKey(48), "state/0notes"}) {
			t.Errorf("checkpoints %v", got)
		}
		left := m.keys("")
		if slices.Contains(left, abandoned) || !slices.Contains(left, ahead) || !slices.Contains(left, "state/parts/notes.txt") {
			t.Errorf("left %v", left)
		}
		for _, s := range []*State{old, fresh(t, m), replayed(t, m)} {
			if got := dump(t, s); got != want {
				t.Errorf("read\n%swant\n%s", got, want)
			}
		}
	})
}

// What reads from a checkpoint that is tidied up meanwhile goes on with the next.
func TestTidyUnderReaders(t *testing.T) {
	ctx := t.Context()
	m := newMemory()
	writer := process(t, m)
	grow(t, writer, 20)
	reader := process(t, m)
	s, err := reader.Load(ctx)
	if err != nil || s.base.seq != 16 {
		t.Fatal(s, err)
	}
	grow(t, writer, 40)
	if did, err := writer.Tidy(ctx, 0, false); err != nil || len(did.Keys) == 0 {
		t.Fatal(did, err)
	}
	ids := 0
	for _, err := range s.Runs(ctx, "p") {
		if ids++; err != nil {
			t.Fatal(err)
		}
	}
	if now := fresh(t, m); int64(ids) != now.Count("p") {
		t.Errorf("%d runs, want those of the newer state: %d", ids, now.Count("p"))
	}
	// A change whose state lost its part is asked again in a newer one.
	late := process(t, m)
	if _, err := late.Load(ctx); err != nil {
		t.Fatal(err)
	}
	grow(t, writer, 60)
	asked := 0
	n, err := late.Commit(ctx, func(ctx context.Context, s *State) ([]Action, error) {
		if asked++; asked == 1 {
			if _, err := writer.Tidy(ctx, 0, false); err != nil {
				return nil, err
			}
		}
		found, err := s.Find(ctx, "p", "r2")
		if err != nil {
			return nil, err
		}
		run := *found["r2"]
		run.Name = "late"
		return []Action{Rename("p", &run)}, nil
	})
	if err != nil || n != 61 {
		t.Errorf("commit %d: %v", n, err)
	}
	// A checkpoint that lacks a part is no reason to remove those before it.
	grow(t, writer, 80)
	cp, err := writer.checkpoint(ctx, 80)
	if err != nil {
		t.Fatal(err)
	}
	m.remove(cp.projects["p"].Key)
	before := m.keys(checkpointPrefix)
	if _, err := process(t, m).Tidy(ctx, 0, false); err != nil {
		t.Error(err)
	}
	if after := m.keys(checkpointPrefix); !slices.Equal(before, after) {
		t.Errorf("removed checkpoints: %v, then %v", before, after)
	}
}

func TestFence(t *testing.T) {
	ctx := t.Context()
	m := newMemory()
	l, gc := process(t, m), process(t, m)
	grow(t, l, 20)
	open, err := l.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer open.End()
	var known []string
	s := fresh(t, m)
	for id, err := range s.Data(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, id)
	}
	fenced, err := gc.Fence(ctx, append(known, open.Data(), "20200101T000000Z-00"))
	if err != nil || !slices.Equal(fenced, []string{open.Data(), "20200101T000000Z-00"}) {
		t.Errorf("fenced %v %v", fenced, err)
	}
	_, err = l.Commit(ctx, func(context.Context, *State) ([]Action, error) {
		return []Action{Add("p", &Run{ID: "slow", Data: open.Data()})}, nil
	})
	if !errors.Is(err, trackio.ErrConflict) || trackio.HintOf(err) == "" || !errors.Is(open.Err(), trackio.ErrConflict) {
		t.Errorf("a fenced import: %v", err)
	}
	if fenced, err := gc.Fence(ctx, known); err != nil || len(fenced) != 0 {
		t.Errorf("fenced what is known: %v %v", fenced, err)
	}
	if s := fresh(t, m); s.Seq() != 21 {
		t.Errorf("%d commits", s.Seq())
	}
	// The data of a run that is gone is kept out, too.
	run, err := fresh(t, m).Find(ctx, "p", "r2")
	if err != nil {
		t.Fatal(err)
	}
	n, err := remove(ctx, l, "p", "r2")
	ok(t, n, err)
	if fenced, err := gc.Fence(ctx, []string{run["r2"].Data}); err != nil || len(fenced) != 1 {
		t.Errorf("fenced %v %v", fenced, err)
	}
	open.End()
	if _, err := l.Commit(ctx, func(context.Context, *State) ([]Action, error) {
		return []Action{Add("p", &Run{ID: "slow", Data: open.Data()})}, nil
	}); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("an import that has ended: %v", err)
	}
}
