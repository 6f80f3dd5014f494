package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// populated returns a store whose head is a checkpoint.
func populated(t testing.TB, runs int) *memory {
	ctx := t.Context()
	m := newMemory()
	l := Open(m, "test")
	each := runs / every
	for i := range every {
		_, err := l.Commit(ctx, func(ctx context.Context, _ *State) ([]Action, error) {
			var actions []Action
			for k := range each {
				imp, err := l.Begin(ctx)
				if err != nil {
					return nil, err
				}
				id := fmt.Sprintf("%05d", (i*each+k)*7919%(every*each))
				actions = append(actions, Add("p", &Run{
					ID: id, Name: "run " + id, Data: imp.Data(), Config: []byte(`{"lr":0.1}`),
					CreatedAt: time.Unix(int64(i*each+k)*997%5000, 0).UTC().Format(time.RFC3339),
				}))
			}
			return actions, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

func listed(t testing.TB, l *Ledger) int {
	t.Helper()
	s, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.Runs(t.Context(), "p") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Listing a project takes at most 25 requests, however many commits follow the
// checkpoint, with the hint or without.
func TestRequests(t *testing.T) {
	const runs = 800
	m := populated(t, runs)
	most := map[string]int{}
	writer := Open(m, "test")
	for tail := 0; tail <= 2*every+2; tail++ {
		for name, m := range map[string]*memory{"hint": m.copied(), "no hint": m.copied(), "hint to nothing": m.copied()} {
			switch name {
			case "no hint":
				m.remove(hintKey)
			case "hint to nothing":
				m.objects[hintKey] = stored{body: []byte(`{"seq":1600}`)}
			}
			l := process(t, m)
			if n := listed(t, l); n != runs {
				t.Fatalf("%d runs", n)
			}
			n := m.count()
			if n > 25 {
				t.Errorf("%s, %d commits later: a cold list takes %d requests", name, tail, n)
			}
			most[name] = max(most[name], n)
			listed(t, l)
			if n := m.count(); n != 1 {
				t.Errorf("%s, %d commits later: a warm list takes %d requests", name, tail, n)
			}
			n0, err := rename(t.Context(), l, "p", "00007", "x")
			ok(t, n0, err)
			if n := m.count(); n > 2 && (tail+1)%every != 0 && tail%every != overdue-1 {
				t.Errorf("%s, %d commits later: a warm rename takes %d requests", name, tail, n)
			}
		}
		n, err := rename(t.Context(), writer, "p", fmt.Sprintf("%05d", 100+tail), "y")
		ok(t, n, err)
		for writer.busy() {
			time.Sleep(time.Millisecond)
		}
	}
	t.Logf("requests of a cold list, at most: %v", most)
}

func TestRequestsOfTenThousandRuns(t *testing.T) {
	m := populated(t, 10_000)
	writer := process(t, m)
	for i := range every - 1 {
		n, err := rename(t.Context(), writer, "p", fmt.Sprintf("%05d", i), "y")
		ok(t, n, err)
	}
	reader := m.copied()
	if n := listed(t, Open(reader, "test")); n != 10_000 {
		t.Errorf("%d runs", n)
	}
	if n := reader.count(); n > 25 {
		t.Errorf("%d requests", n)
	}
}

// busy reports whether a checkpoint is being written.
func (l *Ledger) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpointing
}

// Also when the checkpoint that is due is not there yet.
func TestRequestsWithoutTheDueCheckpoint(t *testing.T) {
	m := populated(t, 800)
	m.fault = func(op, key string, _ int) fault {
		if op == "create" && key == checkpointKey(2*every) {
			return refused
		}
		return none
	}
	writer := process(t, m)
	for tail := 1; tail <= every+4; tail++ {
		n, err := rename(t.Context(), writer, "p", "00007", fmt.Sprint(tail))
		ok(t, n, err)
		for writer.busy() {
			time.Sleep(time.Millisecond)
		}
		reader := m.copied()
		listed(t, Open(reader, "test"))
		if n := reader.count(); n > 25 {
			t.Errorf("%d commits later: %d requests", tail, n)
		}
	}
}

func BenchmarkColdList(b *testing.B) {
	m := populated(b, 10_000)
	for b.Loop() {
		listed(b, Open(m, "test"))
	}
}

func BenchmarkWarmRename(b *testing.B) {
	m := populated(b, 10_000)
	l := process(b, m)
	for i := 0; b.Loop(); i++ {
		if _, err := rename(b.Context(), l, "p", "00007", fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
}
