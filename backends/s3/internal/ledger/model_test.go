package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// history is what the log says, worked out by a program of its own: for each
// commit the listing of each project.
type history struct {
	listings []map[string]string
	actions  map[string]int64 // the actions, as text, with the commit of each
	count    int
}

func readHistory(t *testing.T, m *memory) *history {
	type run struct{ ID, Name, Data, at string }
	h := &history{listings: []map[string]string{{}}, actions: map[string]int64{}}
	projects := map[string]map[string]run{}
	added, fenced := map[string]bool{}, map[string]bool{}
	for n := int64(1); ; n++ {
		o, ok := m.objects[fmt.Sprintf("log/%020d.json", n)]
		if !ok {
			if more := len(m.keys("log/")); more != int(n-1) {
				t.Errorf("the log ends at %d and has %d commits", n-1, more)
			}
			return h
		}
		var e struct {
			Actions []struct {
				Action, Project, ID, To string
				All                     bool
				Run                     run
				Data                    []string
			}
		}
		if err := json.Unmarshal(o.body, &e); err != nil {
			t.Fatal(err)
		}
		take := func(project, id string) run {
			r, ok := projects[project][id]
			if !ok {
				t.Errorf("commit %d takes run %s out of %s, which has none", n, id, project)
			}
			if delete(projects[project], id); len(projects[project]) == 0 {
				delete(projects, project)
			}
			return r
		}
		put := func(project string, r run) {
			if _, ok := projects[project][r.ID]; ok {
				t.Errorf("commit %d puts run %s into %s, which has it", n, r.ID, project)
			}
			if projects[project] == nil {
				projects[project] = map[string]run{}
			}
			r.at = fmt.Sprint("@", n)
			projects[project][r.ID] = r
		}
		for _, a := range e.Actions {
			h.count++
			h.actions[a.Action+" "+a.Project+" "+a.ID+a.Run.ID+" "+a.To+a.Run.Name+strings.Join(a.Data, ",")] = n
			switch a.Action {
			case "add":
				if added[a.Run.Data] || fenced[a.Run.Data] {
					t.Errorf("commit %d adds %s, added before: %v, fenced: %v", n, a.Run.Data, added[a.Run.Data], fenced[a.Run.Data])
				}
				added[a.Run.Data] = true
				put(a.Project, a.Run)
			case "remove":
				if a.All {
					delete(projects, a.Project)
				} else {
					take(a.Project, a.ID)
				}
			case "move":
				take(a.Project, a.ID)
				put(a.To, a.Run)
			case "rename":
				take(a.Project, a.ID)
				put(a.Project, a.Run)
			case "fence":
				for _, id := range a.Data {
					fenced[id] = true
					for project, runs := range projects {
						for _, r := range runs {
							if r.Data == id {
								t.Errorf("commit %d fences %s, which run %s of %s has", n, id, r.ID, project)
							}
						}
					}
				}
			}
		}
		listing := map[string]string{}
		for project, runs := range projects {
			for _, id := range slices.Sorted(maps.Keys(runs)) { // none has a time
				listing[project] += " " + id + "=" + runs[id].Name + runs[id].at
			}
		}
		h.listings = append(h.listings, listing)
	}
}

type observation struct {
	seq     int64
	project string // "" for the names of the projects
	listing string
}

// Many processes change one store that drops and delays requests, some tidy up,
// and all of them read. Every answer must agree with the log.
func TestModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { model(t, seed) })
		})
	}
}

func model(t *testing.T, seed uint64) {
	m := newMemory()
	var mu sync.Mutex // guards what follows
	random := rand.New(rand.NewPCG(seed, 1))
	n := func(below int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(below)
	}
	var observed []observation
	done := map[string]int64{} // the actions that succeeded, with their commits
	unknown, tried := 0, 0
	var idle []string // data ids that may be fenced

	m.delay = func() time.Duration { return time.Duration(1+n(40)) * time.Millisecond }
	m.fault = func(op, _ string, _ int) fault { // m.mu is held, mu is free
		if seed%3 == 0 || n(25) != 0 {
			return none
		}
		return []fault{lostBefore, lostAfter, late, ownExists}[n(4)]
	}
	processes := 6
	ledgers := make([]*Ledger, processes)
	var wg sync.WaitGroup
	for p := range processes {
		l := Open(m, fmt.Sprint("process ", p))
		ledgers[p] = l
		for range 2 { // two goroutines a process
			wg.Go(func() {
				var last int64
				for range 30 {
					ctx, cancel := context.WithCancel(t.Context())
					if n(12) == 0 {
						cancelLater := time.AfterFunc(time.Duration(n(100))*time.Millisecond, cancel)
						defer cancelLater.Stop()
					}
					projects := []string{"a", "b", "c"}
					project, to := projects[n(3)], projects[n(3)]
					id := fmt.Sprintf("r%d", n(8))
					name := fmt.Sprintf("n%d", n(1<<30))
					var what string
					var seq int64
					var err error
					switch n(10) {
					case 0, 1, 2:
						var i *Import
						if i, err = l.Begin(ctx); err == nil {
							mu.Lock()
							idle = append(idle, i.Data())
							mu.Unlock()
							time.Sleep(time.Duration(n(200)) * time.Millisecond)
							what = "add " + project + " " + id + " " + name
							seq, err = l.Commit(ctx, func(context.Context, *State) ([]Action, error) {
								return []Action{Add(project, &Run{ID: id, Name: name, Data: i.Data()})}, nil
							})
							i.End()
						}
					case 3, 4:
						if to != project {
							what = "move " + project + " " + id + id + " " + to + name
							seq, err = with(ctx, l, project, id, func(r *Run) Action { r.Name = name; return Move(project, to, r) })
						}
					case 5, 6:
						what = "rename " + project + " " + id + id + " " + name
						seq, err = with(ctx, l, project, id, func(r *Run) Action { r.Name = name; return Rename(project, r) })
					case 7:
						_, err = remove(ctx, l, project, id)
					case 8:
						mu.Lock()
						data := idle[max(0, len(idle)-2):]
						mu.Unlock()
						_, err = l.Fence(ctx, data)
					case 9:
						_, err = l.Tidy(ctx, 0, false)
						if err != nil && trackio.KindOf(err) != trackio.ErrUnavailable && !errors.Is(err, context.Canceled) {
							t.Errorf("tidy: %v", err)
						}
					}
					mu.Lock()
					tried++
					switch {
					case err == nil && what != "":
						done[what] = seq
					case errors.Is(err, ErrOutcomeUnknown):
						unknown++
					case errors.Is(err, trackio.ErrDataLoss), errors.Is(err, trackio.ErrInvalid):
						t.Errorf("%s: %v", what, err)
					}
					mu.Unlock()
					cancel()
					saw, err := look(t.Context(), l)
					if err != nil && trackio.KindOf(err) != trackio.ErrUnavailable {
						t.Errorf("reading: %v", err)
					}
					if len(saw) > 0 {
						if saw[0].seq < last {
							t.Errorf("state %d after %d", saw[0].seq, last)
						}
						last = saw[0].seq
					}
					mu.Lock()
					observed = append(observed, saw...)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for _, l := range ledgers {
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	time.Sleep(time.Minute) // what comes late has come
	m.delay, m.fault = nil, nil
	h := readHistory(t, m)
	for what, seq := range done {
		if h.actions[what] != seq {
			t.Errorf("%q was answered with commit %d, and is in %d", what, seq, h.actions[what])
		}
	}
	for _, o := range observed {
		if !h.agrees(o) {
			t.Errorf("state %d showed %q as %q, and the log never did from then on", o.seq, o.project, o.listing)
		}
	}
	saw := map[string]string{}
	s := fresh(t, m)
	for line := range strings.Lines(dump(t, s)) {
		project, listing, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		saw[project] = listing
	}
	if last := h.listings[len(h.listings)-1]; !maps.Equal(saw, last) || s.Seq() != int64(len(h.listings)-1) {
		t.Errorf("read at %d\n%v\nthe log says\n%v", s.Seq(), saw, last)
	}
	if got, want := dump(t, s), dump(t, replayed(t, m)); got != want {
		t.Errorf("read\n%sreplayed\n%s", got, want)
	}
	t.Logf("%d calls, %d commits of %d actions, %d unknown, %d reads, checkpoints left: %d", tried, len(h.listings)-1, h.count, unknown, len(observed), len(m.keys(checkpointPrefix)))
	if len(h.listings) < 40 {
		t.Errorf("only %d commits: the test shows little", len(h.listings)-1)
	}
}

// look reads the whole store.
func look(ctx context.Context, l *Ledger) ([]observation, error) {
	s, err := l.Load(ctx)
	if err != nil {
		return nil, err
	}
	saw := []observation{{s.Seq(), "", strings.Join(s.Projects(), " ")}}
	for _, project := range s.Projects() {
		listing := ""
		for run, err := range s.Runs(ctx, project) {
			if errors.Is(err, trackio.ErrNotFound) {
				break // read from a newer state, which no longer has it
			}
			if err != nil {
				return saw, err
			}
			listing += fmt.Sprintf(" %s=%s@%d", run.ID, run.Name, run.Commit)
		}
		saw = append(saw, observation{s.Seq(), project, listing})
	}
	return saw, nil
}

// agrees reports whether the log says what was read: at the state itself for the
// names of the projects, then or later for the listing of one.
func (h *history) agrees(o observation) bool {
	if o.seq >= int64(len(h.listings)) {
		return false
	}
	if o.project == "" {
		return strings.Join(slices.Sorted(maps.Keys(h.listings[o.seq])), " ") == o.listing
	}
	for _, listing := range h.listings[o.seq:] {
		if listing[o.project] == o.listing {
			return true
		}
	}
	return false
}
