package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := newMemory()
		m.delay = func() time.Duration { return 20 * time.Millisecond }
		l := Open(m, "test")
		if _, err := l.Load(ctx); err != nil {
			t.Fatal(err)
		}
		const callers = 200
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				_, errs[i] = add(ctx, l, "p", fmt.Sprintf("r%d", i/2), "") // two for each id
			})
		}
		wg.Wait()
		won := 0
		for i := 0; i < callers; i += 2 {
			a, b := errs[i], errs[i+1]
			if a != nil {
				a, b = b, a
			}
			if a == nil && errors.Is(b, trackio.ErrExists) {
				won++
			} else {
				t.Errorf("two imports of one id: %v, %v", a, b)
			}
		}
		if err := l.Close(ctx); err != nil {
			t.Fatal(err)
		}
		m.delay = nil
		s := fresh(t, m)
		if s.Count("p") != int64(won) || s.Seq() > 3 {
			t.Errorf("%d runs of %d in %d commits", s.Count("p"), won, s.Seq())
		}
	})
}

// One body holds 3 MiB; what is more goes into the next commit.
func TestGroupSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := newMemory()
		m.delay = func() time.Duration { return 20 * time.Millisecond }
		l := Open(m, "test")
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := l.Commit(ctx, func(ctx context.Context, s *State) ([]Action, error) {
					var actions []Action
					for k := range 20 {
						imp, err := l.Begin(ctx)
						if err != nil {
							return nil, err
						}
						actions = append(actions, Add("p", &Run{
							ID: fmt.Sprintf("%d-%d", i, k), Data: imp.Data(), Config: []byte(`"` + strings.Repeat("x", 50_000) + `"`),
						}))
					}
					return actions, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := l.Close(ctx); err != nil {
			t.Fatal(err)
		}
		m.delay = nil
		s := fresh(t, m)
		if s.Count("p") != 200 || s.Seq() < 4 || s.Seq() > 7 {
			t.Errorf("%d runs in %d commits", s.Count("p"), s.Seq())
		}
		for _, key := range m.keys(logPrefix) {
			if n := len(m.objects[key].body); n > MaxCommit {
				t.Errorf("%s has %d bytes", key, n)
			}
		}
	})
}

// Who was refused because of a change that shared the commit is asked again when
// that commit does not come about.
func TestRefusalRestsOnTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := newMemory()
		l := Open(m, "test")
		n, err := add(ctx, l, "p", "first", "")
		ok(t, n, err)
		m.delay = func() time.Duration { return 20 * time.Millisecond }
		m.fault = func(op, key string, _ int) fault {
			if op == "create" && key == logKey(2) {
				return refused
			}
			return none
		}
		var wg sync.WaitGroup
		gate := make(chan struct{})
		var removed error
		wg.Go(func() {
			_, removed = l.Commit(ctx, func(context.Context, *State) ([]Action, error) {
				<-gate // so that the other comes into the same commit
				return []Action{Remove("p", "first")}, nil
			})
		})
		synctest.Wait()
		seen := []bool{}
		var found error
		wg.Go(func() {
			_, found = l.Commit(ctx, func(ctx context.Context, s *State) ([]Action, error) {
				runs, err := s.Find(ctx, "p", "first")
				seen = append(seen, runs["first"] != nil)
				if err == nil && runs["first"] == nil {
					err = noRun("p", "first")
				}
				return nil, err
			})
		})
		close(gate)
		wg.Wait()
		if !errors.Is(removed, trackio.ErrPermission) || found != nil {
			t.Errorf("removed: %v, found: %v, seen %v", removed, found, seen)
		}
		if err := l.Close(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
