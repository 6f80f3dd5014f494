package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

var faults = map[string]fault{
	"refused": refused, "lost before": lostBefore, "lost after": lostAfter,
	"late": late, "own exists": ownExists, "hangs": hangs,
}

// Every request of an import, a move and a removal meets every fault, once, and
// for good. Whatever happens, the answer is true: nil means that the commit is
// in the log, an error that it is not and will not be, and only an unknown
// outcome may be either.
func TestOutcomes(t *testing.T) {
	type change struct {
		do      func(context.Context, *Ledger) error
		visible func(string) bool
	}
	changes := map[string]change{
		"add": {func(ctx context.Context, l *Ledger) error { _, err := add(ctx, l, "p", "new", ""); return err },
			func(d string) bool { return strings.Contains(d, "new=") }},
		"move": {func(ctx context.Context, l *Ledger) error { _, err := move(ctx, l, "p", "r3", "o"); return err },
			func(d string) bool { return strings.Contains(d, "o: r3=") }},
		"remove": {func(ctx context.Context, l *Ledger) error { _, err := remove(ctx, l, "p", "r3"); return err },
			func(d string) bool { return !strings.Contains(d, "r3=") }},
		"fence": {func(ctx context.Context, l *Ledger) error {
			_, err := l.Fence(ctx, []string{"20260101T000000Z-0a"})
			return err
		},
			func(string) bool { return true }},
	}
	for _, commits := range []int{0, 15, 17} { // before the change; 15 makes its commit write a checkpoint
		start := newMemory()
		synctest.Test(t, func(t *testing.T) {
			l := Open(start, "test")
			for i := range commits {
				n, err := add(t.Context(), l, "p", fmt.Sprintf("r%d", i), "")
				ok(t, n, err)
			}
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		for name, c := range changes {
			if commits == 0 && (name == "move" || name == "remove") {
				continue
			}
			for fname, f := range faults {
				for _, forGood := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s after %d %s forever %v", name, commits, fname, forGood), func(t *testing.T) {
						for k, more := 1, true; more; k++ {
							synctest.Test(t, func(t *testing.T) {
								more = outcome(t, start.copied(), k, f, forGood, c.do, c.visible)
							})
						}
					})
				}
			}
		}
	}
}

// outcome makes a change whose k-th request goes wrong, and returns false when it
// took fewer.
func outcome(t *testing.T, m *memory, k int, f fault, forGood bool, do func(context.Context, *Ledger) error, visible func(string) bool) bool {
	met := false
	before := fresh(t, m)
	m.count()
	m.fault = func(_, _ string, n int) fault {
		if n == k || forGood && n > k {
			met = true
			return f
		}
		return none
	}
	l := Open(m, "test")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := do(ctx, l)
	if closed := l.Close(context.Background()); closed != nil {
		t.Error(closed)
	}
	time.Sleep(time.Minute) // what comes late has come
	m.mu.Lock()
	m.fault = nil
	m.mu.Unlock()
	after := fresh(t, m)
	done := after.Seq() > before.Seq()
	if after.Seq() > before.Seq()+1 {
		t.Errorf("request %d: %d commits", k, after.Seq()-before.Seq())
	}
	if done && !visible(dump(t, after)) {
		t.Errorf("request %d: the commit did not do what it should", k)
	}
	switch {
	case err == nil && !done:
		t.Errorf("request %d: no error and no commit", k)
	case err != nil && done && !errors.Is(err, ErrOutcomeUnknown):
		t.Errorf("request %d: there is a commit in spite of %v", k, err)
	case err != nil && trackio.KindOf(err) == nil:
		t.Errorf("request %d: error without a kind: %v", k, err)
	}
	if !forGood && f != refused && err != nil && errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("request %d: one fault, and the outcome is not known: %v", k, err)
	}
	if got, want := dump(t, after), dump(t, replayed(t, m)); got != want {
		t.Errorf("request %d: read\n%sthe log says\n%s", k, got, want)
	}
	return met
}

// A caller who gives up gets an answer that is true, whenever that is.
func TestCancel(t *testing.T) {
	start := newMemory()
	synctest.Test(t, func(t *testing.T) {
		l := process(t, start)
		for i := range 3 {
			n, err := add(t.Context(), l, "p", fmt.Sprintf("r%d", i), "")
			ok(t, n, err)
		}
	})
	sawNothing, sawDone := false, false
	for after := time.Duration(0); after < 120*time.Millisecond; after += 5 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			m := start.copied()
			m.delay = func() time.Duration { return 10*time.Millisecond + 1 }
			l := Open(m, "test")
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			begun := time.Now()
			_, err := rename(ctx, l, "p", "r1", "other")
			if took := time.Since(begun); took > after+25*time.Millisecond {
				t.Errorf("cancelled after %v, answered after %v", after, took)
			}
			if closed := l.Close(context.Background()); closed != nil {
				t.Error(closed)
			}
			m.delay = nil
			done := fresh(t, m).Seq() == 4
			switch {
			case err == nil:
				sawDone = true
			case errors.Is(err, context.DeadlineExceeded):
				sawNothing = true
			default:
				t.Errorf("after %v: %v", after, err)
			}
			if done != (err == nil) {
				t.Errorf("after %v: error %v, commit there: %v", after, err, done)
			}
		})
	}
	if !sawNothing || !sawDone {
		t.Errorf("the cases do not cover both: %v %v", sawNothing, sawDone)
	}
}

// A store that swallows requests does not keep a commit for longer than it says.
func TestUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		l := Open(m, "test")
		i, err := l.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m.fault = func(_, key string, n int) fault {
			if n > 6 && strings.HasPrefix(key, logPrefix) {
				return hangs
			}
			return none
		}
		adding := func(context.Context, *State) ([]Action, error) {
			return []Action{Add("p", &Run{ID: "r", Data: i.Data()})}, nil
		}
		m.requests = make([]string, 5) // the next is the look for commit 1, then comes its creation
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = l.Commit(ctx, adding)
		if !errors.Is(err, ErrOutcomeUnknown) || trackio.KindOf(err) != trackio.ErrUnavailable || trackio.HintOf(err) == "" {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took < 20*time.Second || took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
		m.fault = nil
		if err := i.Err(); !errors.Is(err, trackio.ErrConflict) {
			t.Errorf("the import may be added again: %v", err)
		}
		if _, err := l.Commit(t.Context(), adding); !errors.Is(err, trackio.ErrConflict) {
			t.Errorf("the import was added again: %v", err)
		}
		i.End()
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := l.Commit(t.Context(), adding); !errors.Is(err, trackio.ErrUnavailable) {
			t.Errorf("commit after close: %v", err)
		}
	})
}
