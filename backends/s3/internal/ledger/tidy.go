package ledger

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Tidied says what [Ledger.Tidy] has removed, or would remove.
type Tidied struct {
	Keys  []string
	Bytes int64
}

// Tidy removes the checkpoints before the newest one, and the parts that no
// checkpoint needs, if they are older than grace; with dryRun it only looks. It
// may run beside everything else: a reader that loses a part begins anew from
// the newest checkpoint, and whatever becomes of checkpoints, the log stays.
//
// A checkpoint that is due and missing is written first (not with dryRun).
func (l *Ledger) Tidy(ctx context.Context, grace time.Duration, dryRun bool) (Tidied, error) {
	var t Tidied
	s, err := l.Load(ctx)
	if err != nil {
		return t, err
	}
	head := floor(s.seq)
	if !dryRun && head > 0 {
		if err := l.complete(ctx, s, head); err != nil {
			return t, err
		}
	}
	before := time.Now().Add(-grace)
	var newest int64
	var newer []int64
	old, err := l.collect(ctx, checkpointPrefix, func(e Entry) bool {
		seq := checkpointSeq(e.Key)
		if seq <= head {
			newest = max(newest, seq)
		} else {
			newer = append(newer, seq)
		}
		return seq > 0 && seq < head && e.ModTime.Before(before)
	})
	if err != nil || newest == 0 {
		return t, err
	}
	cp, err := l.checkpoint(ctx, newest)
	if errors.Is(err, trackio.ErrNotFound) {
		return t, nil // another process is tidying up, with a newer one
	}
	if err != nil {
		return t, err
	}
	needed := cp.keys()
	kept := map[string]bool{}
	for _, seq := range newer {
		cp, err := l.checkpoint(ctx, seq)
		if err != nil && !errors.Is(err, trackio.ErrNotFound) {
			return t, err
		}
		if err == nil {
			maps.Copy(kept, cp.keys())
		}
	}
	whole := 0
	unused, err := l.collect(ctx, partPrefix, func(e Entry) bool {
		if needed[e.Key] {
			whole++
		}
		seq := partSeq(e.Key)
		return !needed[e.Key] && !kept[e.Key] && seq > 0 && seq <= newest && e.ModTime.Before(before)
	})
	if err != nil || whole != len(needed) {
		return t, err // a checkpoint that lacks a part needs those before it
	}
	for _, e := range old {
		if checkpointSeq(e.Key) < newest {
			t.Keys = append(t.Keys, e.Key)
			t.Bytes += e.Size
		}
	}
	for _, e := range unused {
		t.Keys = append(t.Keys, e.Key)
		t.Bytes += e.Size
	}
	if dryRun || len(t.Keys) == 0 {
		return t, nil
	}
	return t, l.objects.Delete(ctx, t.Keys)
}

// keys returns the names of the parts.
func (c *checkpoint) keys() map[string]bool {
	keys := make(map[string]bool, len(c.projects))
	for _, p := range c.projects {
		keys[p.Key] = true
	}
	return keys
}

// complete makes sure that checkpoint seq is there, and that the hint names it.
func (l *Ledger) complete(ctx context.Context, s *State, seq int64) error {
	if seq > s.base.seq {
		err := l.ensure(ctx, s, seq)
		if gone := (*goneError)(nil); errors.As(err, &gone) {
			if s, err = l.recover(ctx, gone); err == nil && seq >= s.base.seq {
				err = l.ensure(ctx, s, seq)
			}
		}
		if err != nil {
			return err
		}
	}
	return l.hint(ctx, seq)
}

func (l *Ledger) collect(ctx context.Context, prefix string, wanted func(Entry) bool) ([]Entry, error) {
	var found []Entry
	for e, err := range l.objects.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if wanted(e) {
			found = append(found, e)
		}
	}
	return found, nil
}
