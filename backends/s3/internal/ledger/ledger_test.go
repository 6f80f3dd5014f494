package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestChanges(t *testing.T) {
	ctx := t.Context()
	m := newMemory()
	l := process(t, m)
	step := func(n int64, err error) func(want string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return func(want string) {
			t.Helper()
			for name, s := range map[string]*State{"fresh": fresh(t, m), "replayed": replayed(t, m)} {
				if got := dump(t, s); got != want {
					t.Errorf("%s after commit %d:\n%swant\n%s", name, n, got, want)
				}
			}
			s, err := l.Load(ctx)
			if err != nil || s.Seq() != n || dump(t, s) != want {
				t.Errorf("loaded %v %v:\n%swant\n%s", s.Seq(), err, dump(t, s), want)
			}
		}
	}
	step(add(ctx, l, "p", "a", "2026-01-02T00:00:00+01:00"))("p: a=a@1\n")
	step(add(ctx, l, "p", "b", "2026-01-01T23:30:00+00:00"))("p: a=a@1 b=b@2\n") // later, though its text is smaller
	step(add(ctx, l, "p", "z", ""))("p: z=z@3 a=a@1 b=b@2\n")                    // no time comes first
	step(rename(ctx, l, "p", "a", "x y"))("p: z=z@3 a=x y@4 b=b@2\n")
	step(move(ctx, l, "p", "a", "o"))("o: a=x y@5\np: z=z@3 b=b@2\n")
	step(move(ctx, l, "o", "a", "p"))("p: z=z@3 a=x y@6 b=b@2\n")
	step(remove(ctx, l, "p", "z"))("p: a=x y@6 b=b@2\n")
	step(l.Commit(ctx, func(context.Context, *State) ([]Action, error) { return []Action{RemoveAll("p")}, nil }))("")
	step(add(ctx, l, "p", "a", ""))("p: a=a@9\n")
	// The same over many checkpoints, and across them.
	for i := range 40 {
		step(add(ctx, l, "q", fmt.Sprintf("r%02d", i), ""))
		step(move(ctx, l, "p", "a", "r"))
		step(move(ctx, l, "r", "a", "p"))
	}
	if got, want := dump(t, fresh(t, m)), dump(t, replayed(t, m)); got != want || !strings.HasPrefix(got, "p: a=a@129\nq: r00=r00@10 ") {
		t.Errorf("fresh\n%sreplayed\n%s", got, want)
	}
}

func TestActionsThatDoNotApply(t *testing.T) {
	ctx := t.Context()
	m := newMemory()
	l := process(t, m)
	for i := range 16 { // the second half of the cases finds the runs in a part
		n, err := add(ctx, l, "p", fmt.Sprintf("r%d", i), "")
		ok(t, n, err)
	}
	n, err := add(ctx, l, "o", "r1", "")
	ok(t, n, err)
	imports, err := l.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer imports.End()
	if err := l.Close(ctx); err != nil { // the checkpoint is there
		t.Fatal(err)
	}
	run := func(id, data string) *Run { return &Run{ID: id, Name: "n", Data: data} }
	had := func(id string) *Run {
		found, err := fresh(t, m).Find(ctx, "p", id)
		if err != nil || found[id] == nil {
			t.Fatal(found, err)
		}
		return found[id]
	}
	big := run("big", imports.Data())
	big.Name = strings.Repeat("x", MaxCommit)
	wide := run("wide", imports.Data())
	wide.Config = []byte(`"` + strings.Repeat("x", MaxConfig) + `"`)
	torn := run("torn", imports.Data())
	torn.Config = []byte(`{"a":`)
	for name, c := range map[string]struct {
		actions []Action
		kind    error
	}{
		"add twice":            {[]Action{Add("p", run("r0", imports.Data()))}, trackio.ErrExists},
		"add two of one data":  {[]Action{Add("p", run("n1", imports.Data())), Add("p", run("n2", imports.Data()))}, trackio.ErrConflict},
		"add of no import":     {[]Action{Add("p", run("n", "20260101T000000Z-00"))}, trackio.ErrInvalid},
		"add without id":       {[]Action{Add("p", run("", imports.Data()))}, trackio.ErrInvalid},
		"add not UTF-8":        {[]Action{Add("p", run("\xff", imports.Data()))}, trackio.ErrInvalid},
		"add not JSON":         {[]Action{Add("p", torn)}, trackio.ErrInvalid},
		"add with wide config": {[]Action{Add("p", wide)}, trackio.ErrInvalid},
		"too large":            {[]Action{Add("p", big)}, trackio.ErrInvalid},
		"remove unknown":       {[]Action{Remove("p", "x")}, trackio.ErrNotFound},
		"remove from unknown":  {[]Action{Remove("x", "r0")}, trackio.ErrNotFound},
		"remove twice":         {[]Action{Remove("p", "r0"), Remove("p", "r0")}, trackio.ErrNotFound},
		"remove all unknown":   {[]Action{RemoveAll("x")}, trackio.ErrNotFound},
		"remove nothing":       {[]Action{Remove("p", "")}, trackio.ErrInvalid},
		"no project":           {[]Action{Remove("", "r0")}, trackio.ErrInvalid},
		"rename unknown":       {[]Action{Rename("p", run("x", "d"))}, trackio.ErrNotFound},
		"rename changes data":  {[]Action{Rename("p", run("r0", "d"))}, trackio.ErrInvalid},
		"move unknown":         {[]Action{Move("p", "o", run("x", "d"))}, trackio.ErrNotFound},
		"move to where it is":  {[]Action{Move("p", "p", had("r0"))}, trackio.ErrInvalid},
		"move onto another":    {[]Action{Move("p", "o", had("r1"))}, trackio.ErrExists},
		"unknown action":       {[]Action{{Action: "shred", Project: "p"}}, trackio.ErrInvalid},
		"good, then bad":       {[]Action{Remove("p", "r0"), Remove("p", "x")}, trackio.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			before := fresh(t, m)
			for _, kind := range []string{"warm", "cold"} {
				l := reopened(l)
				if kind == "cold" { // whose import is another, so that the actions are changed
					l = process(t, m)
					i, err := l.Begin(ctx)
					if err != nil {
						t.Fatal(err)
					}
					defer i.End()
					for k := range c.actions {
						if r := c.actions[k].Run; r != nil && r.Data == imports.Data() {
							again := *r
							again.Data = i.Data()
							c.actions[k].Run = &again
						}
					}
				}
				_, err := l.Commit(ctx, func(context.Context, *State) ([]Action, error) { return c.actions, nil })
				if trackio.KindOf(err) != c.kind {
					t.Errorf("%s: error %v of kind %v, want kind %v", kind, err, trackio.KindOf(err), c.kind)
				}
			}
			if after := fresh(t, m); after.Seq() != before.Seq() {
				t.Errorf("there is a commit %d", after.Seq())
			}
		})
	}
}

// reopened lets a closed ledger go on with what it knows.
func reopened(l *Ledger) *Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = false
	return l
}

func TestEmptyAndForeignStores(t *testing.T) {
	ctx := t.Context()
	m := newMemory()
	l := process(t, m)
	s, err := l.Load(ctx)
	if err != nil || s.Seq() != 0 || len(s.Projects()) != 0 {
		t.Fatal(s, err)
	}
	for _, err := range s.Runs(ctx, "p") {
		if !errors.Is(err, trackio.ErrNotFound) {
			t.Errorf("runs of an unknown project: %v", err)
		}
	}
	if found, err := s.Find(ctx, "p", "x"); err != nil || len(found) != 0 {
		t.Error(found, err)
	}
	if keys := m.keys(""); len(keys) != 0 {
		t.Errorf("reading made %v", keys)
	}
	store, err := l.Init(ctx)
	if err != nil || store.ID == "" || string(store.Body) != string(m.objects[StoreKey].body) {
		t.Fatal(store, err)
	}
	m.count()
	if again, err := l.Init(ctx); err != nil || again.ID != store.ID || m.count() != 0 {
		t.Error(again, err)
	}
	if other, err := process(t, m).Init(ctx); err != nil || other.ID != store.ID {
		t.Error(other, err)
	}
	for _, body := range []string{"", "{}", `{"format":"delta","version":1}`, `{"format":"trackio-object-store","version":2}`} {
		m := newMemory()
		m.objects[StoreKey] = stored{body: []byte(body)}
		l := process(t, m)
		if _, err := l.Load(ctx); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("load with %q: %v", body, err)
		}
		if _, err := add(ctx, l, "p", "r", ""); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("add with %q: %v", body, err)
		}
		if len(m.keys("")) != 1 || string(m.objects[StoreKey].body) != body {
			t.Errorf("a foreign store with %q was written to", body)
		}
	}
}

func TestDamage(t *testing.T) {
	m := newMemory()
	l := process(t, m)
	for i := range 20 {
		n, err := add(t.Context(), l, "p", fmt.Sprintf("r%d", i), "")
		ok(t, n, err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	part := m.keys(partPrefix)[0]
	commit := func(actions string) string { return `{"id":"x","actions":[` + actions + `]}` }
	for name, c := range map[string]struct{ key, body string }{
		"hole":               {logKey(18), ""},
		"entry torn":         {logKey(18), `{"id":`},
		"entry without id":   {logKey(18), `{"actions":[]}`},
		"unknown action":     {logKey(18), commit(`{"action":"shred","project":"p"}`)},
		"add of a tail run":  {logKey(18), commit(`{"action":"add","project":"p","run":{"id":"r16","data":"d"}}`)},
		"add of a part run":  {logKey(18), commit(`{"action":"add","project":"p","run":{"id":"r3","data":"d"}}`)},
		"remove of no run":   {logKey(18), commit(`{"action":"remove","project":"p","id":"x"}`)},
		"rename of no run":   {logKey(18), commit(`{"action":"rename","project":"p","id":"x","run":{"id":"x","data":"d"}}`)},
		"move from nowhere":  {logKey(18), commit(`{"action":"move","project":"x","to":"p","id":"x","run":{"id":"x","data":"d"}}`)},
		"remove all of none": {logKey(18), commit(`{"action":"remove","project":"x","all":true}`)},
		"checkpoint torn":    {checkpointKey(16), `{"seq":16,`},
		"another checkpoint": {checkpointKey(16), `{"seq":32,"projects":{}}`},
		"checkpoint, no sum": {checkpointKey(16), `{"seq":16,"projects":{"p":{"part":"` + part + `","runs":16}}}`},
		"part changed":       {part, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			m := m.copied()
			if m.remove(c.key); c.body != "" {
				m.objects[c.key] = stored{body: []byte(c.body)}
			}
			s, err := Open(m, "").Load(t.Context())
			if err == nil {
				for _, e := range s.Runs(t.Context(), "p") {
					err = e
				}
			}
			if !errors.Is(err, trackio.ErrDataLoss) {
				t.Fatalf("error %v", err)
			}
			// What the log and a part do not agree about is said of the part.
			if !strings.Contains(err.Error(), c.key) && !strings.Contains(err.Error(), part) {
				t.Errorf("the error does not name %s: %v", c.key, err)
			}
		})
	}
}
