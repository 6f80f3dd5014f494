package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// grow commits until the head is seq; each tenth run goes into a project of its
// own.
func grow(t testing.TB, l *Ledger, seq int64) {
	t.Helper()
	s, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := s.Seq() + 1; n <= seq; n++ {
		project := "p"
		if n%10 == 1 {
			project = fmt.Sprintf("q%d", n)
		}
		got, err := add(t.Context(), l, project, fmt.Sprintf("r%d", n), "")
		ok(t, got, err)
		if got != n {
			t.Fatalf("commit %d, want %d", got, n)
		}
		for l.busy() {
			time.Sleep(time.Millisecond)
		}
	}
}

func TestCheckpoints(t *testing.T) {
	m := newMemory()
	l := process(t, m)
	grow(t, l, 50)
	if got := m.keys(checkpointPrefix); !slices.Equal(got, []string{checkpointKey(16), checkpointKey(32), checkpointKey(48)}) {
		t.Errorf("checkpoints %v", got)
	}
	cp, err := l.checkpoint(t.Context(), 48)
	if err != nil {
		t.Fatal(err)
	}
	for project, want := range map[string]int64{"p": 48, "q1": 16, "q11": 16, "q21": 32, "q41": 48} {
		if got := partSeq(cp.projects[project].Key); got != want {
			t.Errorf("the part of %s is of checkpoint %d, want %d: an untouched project keeps its own", project, got, want)
		}
	}
	if got := string(m.objects[hintKey].body); got != `{"seq": 48}` {
		t.Errorf("hint %s", got)
	}
	if dump(t, fresh(t, m)) != dump(t, replayed(t, m)) {
		t.Error("checkpoint and log do not agree")
	}
	if s := l.current(); s.base.seq != 48 || len(s.tail) != 2 {
		t.Errorf("the process stands on %d, with %d commits in memory", s.base.seq, len(s.tail))
	}
}

// A process that ends right after its commit has written the checkpoint.
func TestCloseWaitsForCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		grow(t, process(t, m), 15)
		m.delay = func() time.Duration { return 100 * time.Millisecond }
		l := Open(m, "short")
		n, err := add(t.Context(), l, "p", "last", "")
		ok(t, n, err)
		begun := time.Now()
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys := m.keys(checkpointPrefix); len(keys) != 1 || time.Since(begun) == 0 {
			t.Errorf("checkpoints %v after %v", keys, time.Since(begun))
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		l := Open(m, "test")
		grow(t, l, 1)
		m.delay = func() time.Duration { return 15 * time.Second }
		begun := make(chan error)
		go func() {
			_, err := remove(t.Context(), l, "q1", "r1")
			begun <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		if _, err := remove(t.Context(), l, "q1", "r1"); !errors.Is(err, trackio.ErrUnavailable) {
			t.Errorf("commit after close: %v", err)
		}
		if err := <-begun; err != nil { // it ends all the same
			t.Error(err)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A checkpoint that cannot be written makes no commit fail, and a later committer
// writes it, this process or another.
func TestCheckpointIsMadeUpFor(t *testing.T) {
	for _, broken := range []string{"create " + partPrefix, "create " + checkpointKey(16), "put " + hintKey} {
		for _, other := range []bool{false, true} {
			t.Run(fmt.Sprint(broken, other), func(t *testing.T) {
				m := newMemory()
				l := process(t, m)
				m.fault = func(op, key string, _ int) fault {
					if strings.HasPrefix(op+" "+key, broken) {
						return refused
					}
					return none
				}
				grow(t, l, 17)
				m.fault = nil
				if len(m.keys(hintKey)) != 0 {
					t.Fatal("there is a hint already")
				}
				if other {
					l = process(t, m)
				}
				grow(t, l, 18)
				if !other || broken != "put "+hintKey {
					if len(m.keys(checkpointKey(16))) != 1 || len(m.keys(hintKey)) != 1 {
						t.Errorf("there is no checkpoint: %v", m.keys(statePrefix))
					}
				}
				if dump(t, fresh(t, m)) != dump(t, replayed(t, m)) {
					t.Error("checkpoint and log do not agree")
				}
			})
		}
	}
}

// Of many writers of one checkpoint one wins, and the others leave nothing.
func TestCheckpointRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.fault = func(op, key string, _ int) fault {
			if op == "create" && strings.HasPrefix(key, partPrefix) {
				return refused
			}
			return none
		}
		grow(t, process(t, m), 20)
		m.fault = nil
		m.delay = func() time.Duration { return 10 * time.Millisecond }
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				l := Open(m, "racer")
				s, err := l.Load(t.Context())
				if err == nil {
					err = l.ensure(t.Context(), s, 16)
				}
				if err != nil {
					t.Error(err)
				}
				if got := l.current().base.seq; got != 16 {
					t.Errorf("stands on %d", got)
				}
			})
		}
		wg.Wait()
		m.delay = nil
		cp, err := Open(m, "").checkpoint(t.Context(), 16)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.keys(partPrefix); len(got) != len(cp.projects) {
			t.Errorf("%d parts for %d projects", len(got), len(cp.projects))
		}
	})
}

func TestWaysAroundLostCheckpoints(t *testing.T) {
	start := newMemory()
	grow(t, process(t, start), 60)
	newest := func(m *memory) string {
		cp, err := Open(m, "").checkpoint(t.Context(), 48)
		if err != nil {
			t.Fatal(err)
		}
		return cp.projects["p"].Key
	}
	for name, spoil := range map[string]func(*memory){
		"no hint":          func(m *memory) { m.remove(hintKey) },
		"garbage hint":     func(m *memory) { m.objects[hintKey] = stored{body: []byte("{")} },
		"old hint":         func(m *memory) { m.objects[hintKey] = stored{body: []byte(`{"seq":16}`)} },
		"hint to nothing":  func(m *memory) { m.remove(checkpointKey(48)) },
		"nothing at all":   func(m *memory) { _ = m.Delete(t.Context(), m.keys(statePrefix)) },
		"part is gone":     func(m *memory) { m.remove(newest(m)) },
		"all parts gone":   func(m *memory) { _ = m.Delete(t.Context(), m.keys(partPrefix)) },
		"old and its part": func(m *memory) { m.objects[hintKey] = stored{body: []byte(`{"seq":16}`)}; m.remove(newest(m)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := start.copied()
			want := dump(t, fresh(t, m))
			spoil(m)
			l := process(t, m)
			s, err := l.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := dump(t, s); got != want {
				t.Errorf("read\n%swant\n%s", got, want)
			}
			l = process(t, m)
			if s, err = l.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if found, err := s.Find(t.Context(), "p", "r2", "nobody"); err != nil || len(found) != 1 {
				t.Errorf("found %v %v", found, err)
			}
			n := 0
			for _, err := range s.Data(t.Context()) {
				if n++; err != nil {
					t.Error(err)
				}
			}
			if n < 60 {
				t.Errorf("%d data ids", n)
			}
			got, err := rename(t.Context(), process(t, m), "p", "r2", "other") // looks into the part
			ok(t, got, err)
			grow(t, l, 66)
			if _, err := l.Tidy(t.Context(), 0, false); err != nil {
				t.Error(err)
			}
			if dump(t, fresh(t, m)) != dump(t, replayed(t, m)) {
				t.Error("checkpoint and log do not agree")
			}
		})
	}
}

// A process that was idle for long goes on from a checkpoint, one with an open
// import reads every commit; neither keeps all of them.
func TestFarBehind(t *testing.T) {
	for _, importing := range []bool{false, true} {
		m := newMemory()
		l := process(t, m)
		grow(t, l, 3)
		var i *Import
		if importing {
			var err error
			if i, err = l.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			fenced, err := process(t, m).Fence(t.Context(), []string{i.Data()})
			if err != nil || len(fenced) != 1 {
				t.Fatal(fenced, err)
			}
		}
		grow(t, process(t, m), 120)
		m.count()
		s, err := l.Load(t.Context())
		if err != nil || s.Seq() != 120 {
			t.Fatal(s, err)
		}
		if n := m.count(); !importing && n > 36 {
			t.Errorf("%d requests", n)
		}
		if importing {
			if err := i.Err(); !errors.Is(err, trackio.ErrConflict) {
				t.Errorf("a fence of 117 commits ago was not seen: %v", err)
			}
			i.End()
		}
		if len(l.current().tail) > longTail {
			t.Errorf("importing %v: %d commits in memory", importing, len(l.current().tail))
		}
		if dump(t, s) != dump(t, replayed(t, m)) {
			t.Error("wrong state")
		}
	}
}
