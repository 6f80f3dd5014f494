package ledger

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// memory is a store in memory whose requests can go wrong.
type memory struct {
	mu       sync.Mutex
	objects  map[string]stored
	requests []string // "op key"
	// fault says what happens to a request; n counts all requests from 1.
	fault func(op, key string, n int) fault
	delay func() time.Duration
}

type stored struct {
	body []byte
	at   time.Time
}

type fault int

const (
	none       fault = iota
	refused          // the store says no; nothing happens
	lostBefore       // no answer, and nothing happens
	lostAfter        // no answer, and it has happened
	late             // no answer, and it happens a little later
	ownExists        // a create happens and is answered with "exists"
	hangs            // no answer until the context ends
)

func newMemory() *memory { return &memory{objects: map[string]stored{}} }

var (
	errRefused = trackio.Errorf(trackio.ErrPermission, "refused")
	errLost    = &trackio.Error{Kind: trackio.ErrUnavailable, Message: "the connection broke", Err: ErrOutcomeUnknown}
	errGet     = trackio.Errorf(trackio.ErrUnavailable, "the connection broke")
)

// do counts a request, and lets it have its effect unless a fault forbids it.
func (m *memory) do(ctx context.Context, op, key string, effect func() error) error {
	if m.delay != nil {
		select {
		case <-time.After(m.delay()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.requests = append(m.requests, op+" "+key)
	f := none
	if m.fault != nil {
		f = m.fault(op, key, len(m.requests))
	}
	write := op != "get" && op != "list"
	if !write && f != none && f != refused && f != hangs {
		f = lostBefore
	}
	var err error
	switch f {
	case none:
		err = effect()
	case refused:
		err = errRefused
	case lostBefore:
		err = errLost
		if !write {
			err = errGet
		}
	case lostAfter:
		_ = effect()
		err = errLost
	case ownExists:
		if err = effect(); err == nil && op == "create" {
			err = trackio.Errorf(trackio.ErrExists, "%s exists", key)
		}
	case late:
		err = errLost
		go func() {
			time.Sleep(300 * time.Millisecond)
			m.mu.Lock()
			defer m.mu.Unlock()
			_ = effect()
		}()
	case hangs:
		m.mu.Unlock()
		<-ctx.Done()
		if !write {
			return errGet
		}
		return errLost
	}
	m.mu.Unlock()
	return err
}

func (m *memory) Get(ctx context.Context, key string) (body []byte, err error) {
	err = m.do(ctx, "get", key, func() error {
		o, ok := m.objects[key]
		if !ok {
			return trackio.Errorf(trackio.ErrNotFound, "%s: not found", key)
		}
		body = slices.Clone(o.body)
		return nil
	})
	return body, err
}

func (m *memory) Create(ctx context.Context, key string, body []byte, _ string) error {
	return m.do(ctx, "create", key, func() error {
		if o, ok := m.objects[key]; ok {
			if bytes.Equal(o.body, body) {
				return nil
			}
			return trackio.Errorf(trackio.ErrExists, "%s exists", key)
		}
		m.objects[key] = stored{slices.Clone(body), time.Now()}
		return nil
	})
}

func (m *memory) Put(ctx context.Context, key string, body []byte, _ string) error {
	return m.do(ctx, "put", key, func() error {
		m.objects[key] = stored{slices.Clone(body), time.Now()}
		return nil
	})
}

func (m *memory) List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var entries []Entry
		err := m.do(ctx, "list", prefix, func() error {
			for _, key := range slices.Sorted(maps.Keys(m.objects)) {
				if strings.HasPrefix(key, prefix) {
					o := m.objects[key]
					entries = append(entries, Entry{Key: key, Size: int64(len(o.body)), ModTime: o.at})
				}
			}
			return nil
		})
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memory) Delete(ctx context.Context, keys []string) error {
	return m.do(ctx, "delete", fmt.Sprint(keys), func() error {
		for _, key := range keys {
			delete(m.objects, key)
		}
		return nil
	})
}

// copied returns a store with the same objects and no faults.
func (m *memory) copied() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{objects: maps.Clone(m.objects)}
}

func (m *memory) keys(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// count forgets the requests and returns how many there were.
func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.requests)
	m.requests = nil
	return n
}

// remove deletes an object behind everybody's back.
func (m *memory) remove(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

// process opens the store as a process of its own does, and closes it in the end.
func process(t testing.TB, m *memory) *Ledger {
	l := Open(m, "test")
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// add imports a run and returns the number of the commit.
func add(ctx context.Context, l *Ledger, project, id, created string) (int64, error) {
	i, err := l.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer i.End()
	return l.Commit(ctx, func(context.Context, *State) ([]Action, error) {
		return []Action{Add(project, &Run{ID: id, Name: id, Data: i.Data(), CreatedAt: created})}, nil
	})
}

// with commits a change to runs of a project: act makes the action out of a copy
// of the run.
func with(ctx context.Context, l *Ledger, project, id string, act func(*Run) Action) (int64, error) {
	return l.Commit(ctx, func(ctx context.Context, s *State) ([]Action, error) {
		found, err := s.Find(ctx, project, id)
		if err != nil {
			return nil, err
		}
		if found[id] == nil {
			return nil, noRun(project, id)
		}
		run := *found[id]
		return []Action{act(&run)}, nil
	})
}

func move(ctx context.Context, l *Ledger, project, id, to string) (int64, error) {
	return with(ctx, l, project, id, func(r *Run) Action { return Move(project, to, r) })
}

func rename(ctx context.Context, l *Ledger, project, id, name string) (int64, error) {
	return with(ctx, l, project, id, func(r *Run) Action { r.Name = name; return Rename(project, r) })
}

func remove(ctx context.Context, l *Ledger, project, id string) (int64, error) {
	return l.Commit(ctx, func(context.Context, *State) ([]Action, error) {
		return []Action{Remove(project, id)}, nil
	})
}

// dump reads all of a state: "project: id=name@commit ..." a project.
func dump(t testing.TB, s *State) string {
	t.Helper()
	var b strings.Builder
	for _, project := range s.Projects() {
		fmt.Fprintf(&b, "%s:", project)
		var n int64
		for run, err := range s.Runs(t.Context(), project) {
			if err != nil {
				t.Fatalf("runs of %s: %v", project, err)
			}
			fmt.Fprintf(&b, " %s=%s@%d", run.ID, run.Name, run.Commit)
			n++
		}
		if n != s.Count(project) {
			t.Errorf("project %s has %d runs and counts %d", project, n, s.Count(project))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// fresh reads the store as a new process does.
func fresh(t testing.TB, m *memory) *State {
	t.Helper()
	s, err := Open(m, "reader").Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// replayed reads the store from the log alone.
func replayed(t testing.TB, m *memory) *State {
	t.Helper()
	bare := m.copied()
	for _, key := range bare.keys(statePrefix) {
		bare.remove(key)
	}
	return fresh(t, bare)
}

func ok(t testing.TB, _ int64, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var _ Objects = (*bucket.Bucket)(nil)
