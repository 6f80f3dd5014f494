package trackio_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// The storages of these tests are the one in memory with less or other abilities.
type (
	bare    struct{ trackio.Backend } // no capability
	oneMore struct {                  // moves, one at a time
		trackio.Backend
		trackio.Mover
	}
	stepwise struct { // moves and deletes many, in steps of two
		trackio.Backend
		trackio.BulkChanger
		calls *int
	}
)

func (s stepwise) ChangeRuns(ctx context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
	*s.calls++
	return func(yield func(trackio.ChangeResult, error) bool) {
		for step := range slices.Chunk(changes, 2) {
			for result, err := range s.BulkChanger.ChangeRuns(ctx, step) {
				if !yield(result, err) || err != nil {
					return
				}
			}
		}
	}
}

// answering is a storage whose bulk changes are what a function yields.
type answering struct {
	*memory.Backend
	answer func(changes []trackio.Change, yield func(trackio.ChangeResult, error) bool)
}

func (a *answering) ChangeRuns(_ context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
	return func(yield func(trackio.ChangeResult, error) bool) { a.answer(changes, yield) }
}

// abilities are the ways in which many runs can be changed.
func abilities(t *testing.T) iter.Seq2[string, func(*memory.Backend) trackio.Backend] {
	return func(yield func(string, func(*memory.Backend) trackio.Backend) bool) {
		for name, make := range map[string]func(*memory.Backend) trackio.Backend{
			"one step":   func(b *memory.Backend) trackio.Backend { return b },
			"steps":      func(b *memory.Backend) trackio.Backend { return stepwise{b, b, new(int)} },
			"one by one": func(b *memory.Backend) trackio.Backend { return oneMore{b, b} },
			"by copy":    func(b *memory.Backend) trackio.Backend { return bare{b} },
			"not at all": func(b *memory.Backend) trackio.Backend {
				return &answering{b, func(_ []trackio.Change, yield func(trackio.ChangeResult, error) bool) {
					yield(trackio.ChangeResult{}, trackio.Errorf(errors.ErrUnsupported, "not today"))
				}}
			},
			"none of these": func(b *memory.Backend) trackio.Backend {
				return &answering{b, func(changes []trackio.Change, yield func(trackio.ChangeResult, error) bool) {
					for _, c := range changes {
						err := error(trackio.Errorf(errors.ErrUnsupported, "not this one"))
						if c.Kind == trackio.ChangeDelete {
							err = b.DeleteRun(t.Context(), c.Run, trackio.DeleteOptions{Force: c.Force})
						}
						if !yield(trackio.ChangeResult{Err: err}, nil) {
							return
						}
					}
				}}
			},
		} {
			if !yield(name, make) {
				return
			}
		}
	}
}

// six returns a storage with runs a to f in project p, of which c is still
// written to, and another d in project q.
func six(t *testing.T) *memory.Backend {
	t.Helper()
	b := memory.New()
	for i, id := range []string{"a", "b", "c", "d", "e", "f"} {
		created := day(i + 1)
		if id == "c" {
			created = trackio.FormatTime(time.Now().UTC())
		}
		if err := store(b, "p", id, "run "+id, created, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := store(b, "q", "d", "rival", day(1), ""); err != nil {
		t.Fatal(err)
	}
	return b
}

// where says which runs a project has.
func where(t *testing.T, b trackio.Backend, project string) string {
	t.Helper()
	runs, err := trackio.New(b).Runs(t.Context(), project)
	if errors.Is(err, trackio.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for run := range runs.All() {
		all = append(all, run.ID())
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// told writes results down: the runs that were dealt with in capitals.
func told(results []trackio.BulkResult) string {
	text := ""
	for _, r := range results {
		if r.Err == nil {
			text += strings.ToUpper(r.Run.ID())
		} else {
			text += r.Run.ID()
		}
	}
	return text
}

func runsOf(t *testing.T, b trackio.Backend, project string) *trackio.Runs {
	t.Helper()
	runs, err := trackio.New(b).Runs(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// follow returns options whose Progress notes how it is called.
func follow(force bool) (trackio.BulkOptions, *[]string) {
	calls := &[]string{}
	return trackio.BulkOptions{Force: force, Progress: func(done, total int, last trackio.BulkResult) {
		*calls = append(*calls, fmt.Sprintf("%d/%d", done, total))
	}}, calls
}

var sixCalls = []string{"1/6", "2/6", "3/6", "4/6", "5/6", "6/6"}

func TestMoveMany(t *testing.T) {
	for name, with := range abilities(t) {
		t.Run(name, func(t *testing.T) {
			b := with(six(t))
			runs := runsOf(t, b, "p") // a, b, d, e, f and c, which is the youngest
			opts, calls := follow(false)
			results, err := runs.Move(t.Context(), " q ", opts)
			if got := told(results); got != "ABdEFc" {
				t.Errorf("the results are %s, want ABdEFc", got)
			}
			if !errors.Is(results[2].Err, trackio.ErrExists) || !errors.Is(results[5].Err, trackio.ErrConflict) {
				t.Errorf("the errors are %v and %v, want exists and conflict", results[2].Err, results[5].Err)
			}
			if trackio.KindOf(err) != trackio.ErrExists || !errors.Is(err, trackio.ErrConflict) || trackio.HintOf(err) == "" ||
				!strings.HasPrefix(err.Error(), "2 of 6 runs were not moved: ") || !strings.Contains(err.Error(), results[5].Err.Error()) {
				t.Errorf("the error is %v, of the kind %v", err, trackio.KindOf(err))
			}
			if p, q := where(t, b, "p"), where(t, b, "q"); p != "cd" || q != "abdef" {
				t.Errorf("afterwards p has %s and q %s", p, q)
			}
			if !slices.Equal(*calls, sixCalls) {
				t.Errorf("Progress was called with %v", *calls)
			}
			for run := range runs.All() {
				want := "q"
				if run.ID() == "c" || run.ID() == "d" {
					want = "p"
				}
				if run.Project() != want {
					t.Errorf("run %s says that it is in %s, want %s", run.ID(), run.Project(), want)
				}
			}
		})
	}
}

func TestDeleteMany(t *testing.T) {
	for name, with := range abilities(t) {
		t.Run(name, func(t *testing.T) {
			b := with(six(t))
			runs := runsOf(t, b, "p").Where(func(run *trackio.Run) bool { return run.ID() != "a" })
			results, err := runs.Delete(t.Context(), trackio.BulkOptions{})
			if told(results) != "BDEFc" || trackio.KindOf(err) != trackio.ErrConflict {
				t.Errorf("%s, %v", told(results), err)
			}
			results, err = runs.Delete(t.Context(), trackio.BulkOptions{Force: true})
			if told(results) != "bdefC" || trackio.KindOf(err) != trackio.ErrNotFound || !strings.HasSuffix(err.Error(), "; and 1 more errors") {
				t.Errorf("again, with force: %s, %v", told(results), err)
			}
			if p := where(t, b, "p"); p != "a" {
				t.Errorf("afterwards p has %s", p)
			}
		})
	}
}

// TestBulkIsOneCall: a storage that can change many runs is asked once.
func TestBulkIsOneCall(t *testing.T) {
	b := six(t)
	storage := stepwise{b, b, new(int)}
	if _, err := runsOf(t, storage, "p").Delete(t.Context(), trackio.BulkOptions{Force: true}); err != nil || *storage.calls != 1 {
		t.Errorf("%d calls, %v", *storage.calls, err)
	}
	none := runsOf(t, storage, "q").Where(func(*trackio.Run) bool { return false })
	if results, err := none.Move(t.Context(), "p", trackio.BulkOptions{}); len(results) != 0 || err != nil || *storage.calls != 1 {
		t.Errorf("of no runs: %d results, %v, %d calls", len(results), err, *storage.calls)
	}
}

// Giving up ends an operation between two steps, and the results say where.
func TestBulkCancelled(t *testing.T) {
	const all = "abdefc"
	after3 := map[string]int{"one step": 6, "steps": 4, "one by one": 3, "by copy": 3} // how many are done when it is given up after the third
	for name, with := range abilities(t) {
		last, ok := after3[name]
		if !ok {
			continue
		}
		for at, done := range map[int]int{0: 0, 3: last} {
			b := with(six(t))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			runs := runsOf(t, b, "p")
			if at == 0 {
				cancel()
			}
			calls := 0
			results, err := runs.Move(ctx, "z", trackio.BulkOptions{Force: true, Progress: func(done, _ int, _ trackio.BulkResult) {
				if calls++; done == at {
					cancel()
				}
			}})
			if got := told(results); got != strings.ToUpper(all[:done])+all[done:] || calls != done {
				t.Errorf("%s, cancelled after %d: the results are %s, want the first %d done; %d calls of Progress", name, at, got, done, calls)
			}
			if z := len(where(t, b, "z")); z != done {
				t.Errorf("%s, cancelled after %d: %d runs were moved, want %d", name, at, z, done)
			}
			if done < len(all) && (!errors.Is(err, context.Canceled) || trackio.KindOf(err) != nil) || done == len(all) && err != nil {
				t.Errorf("%s, cancelled after %d: %v", name, at, err)
			}
		}
	}
}

// What a storage leaves open is not taken for done.
func TestBulkThatBreaksOff(t *testing.T) {
	for name, failure := range map[string]error{"an error": trackio.Errorf(trackio.ErrBackendDied, "gone"), "silence": nil, "too much": nil} {
		b := six(t)
		storage := &answering{b, func(changes []trackio.Change, yield func(trackio.ChangeResult, error) bool) {
			for range 2 {
				if !yield(trackio.ChangeResult{}, nil) {
					return
				}
			}
			switch {
			case failure != nil:
				yield(trackio.ChangeResult{}, failure)
			case name == "too much":
				for range changes {
					if !yield(trackio.ChangeResult{}, nil) {
						return
					}
				}
			}
		}}
		opts, calls := follow(false)
		results, err := runsOf(t, storage, "p").Delete(t.Context(), opts)
		want, kind, dealt := "ABdefc", trackio.ErrUnavailable, 2
		switch name {
		case "an error":
			kind = trackio.ErrBackendDied
		case "too much":
			want, kind, dealt = "ABDEFC", nil, 6
		}
		if told(results) != want || trackio.KindOf(err) != kind || len(*calls) != dealt {
			t.Errorf("%s: %s, %v, progress %v; want %s", name, told(results), err, *calls, want)
		}
	}
}

func TestMoveManyRefusals(t *testing.T) {
	for name, with := range abilities(t) {
		b := with(six(t))
		for _, target := range []string{"p", "registry-x"} {
			opts, calls := follow(true)
			results, err := runsOf(t, b, "p").Move(t.Context(), target, opts)
			if told(results) != "abdefc" || trackio.KindOf(err) != trackio.ErrInvalid || !slices.Equal(*calls, sixCalls) {
				t.Errorf("%s: to %s: %s, %v, progress %v", name, target, told(results), err, *calls)
			}
		}
		if p := where(t, b, "p"); p != "abcdef" {
			t.Errorf("%s: afterwards p has %s", name, p)
		}
	}
}

func TestCopyAndMoveElsewhere(t *testing.T) {
	b, other := six(t), trackio.New(memory.New())
	opts, calls := follow(false)
	results, err := runsOf(t, b, "p").Copy(t.Context(), other, "copies", opts)
	if err != nil || told(results) != "ABDEFC" || !slices.Equal(*calls, sixCalls) {
		t.Fatalf("Copy: %s, %v, progress %v", told(results), err, *calls)
	}
	for _, r := range results {
		if r.Copy.Project() != "copies" || r.Copy.ID() != r.Run.ID() || r.Run.Project() != "p" {
			t.Errorf("the copy of %s is %s in %s", r.Run.ID(), r.Copy.ID(), r.Copy.Project())
		}
	}
	results, err = runsOf(t, b, "p").Copy(t.Context(), other, "copies", opts)
	if told(results) != "abdefc" || trackio.KindOf(err) != trackio.ErrExists {
		t.Errorf("Copy again: %s, %v", told(results), err)
	}
	results, err = runsOf(t, b, "p").MoveTo(t.Context(), other, "copies", trackio.BulkOptions{})
	if told(results) != "ABDEFc" || trackio.KindOf(err) != trackio.ErrConflict {
		t.Errorf("MoveTo: %s, %v", told(results), err)
	}
	if p := where(t, b, "p"); p != "c" {
		t.Errorf("after MoveTo p has %s", p)
	}
	results, err = runsOf(t, b, "q").MoveTo(t.Context(), trackio.New(b), "p", trackio.BulkOptions{})
	if told(results) != "D" || err != nil || where(t, b, "p") != "cd" {
		t.Errorf("MoveTo within one storage: %s, %v", told(results), err)
	}

	// Runs that have gone apart are changed where each of them is.
	apart := runsOf(t, b, "p")
	if err := apart.At(0).MoveTo(t.Context(), other, "copies", trackio.MoveOptions{Force: true}); trackio.KindOf(err) != nil && !errors.Is(err, trackio.ErrExists) {
		t.Fatal(err)
	}
	results, err = apart.Delete(t.Context(), trackio.BulkOptions{Force: true})
	if err != nil || len(results) != 2 || where(t, b, "p") != "" {
		t.Errorf("Delete of runs in two storages: %s, %v", told(results), err)
	}
}

func TestSelections(t *testing.T) {
	b := six(t)
	if err := store(b, "p", "x", "unknown", "", ""); err != nil {
		t.Fatal(err)
	}
	runs := runsOf(t, b, "p")
	cutoff, _ := trackio.ParseTime(day(4))
	old := runs.CreatedBefore(cutoff)
	if got := ids(slices.Collect(old.All())); got != "[a b]" || old.Project() != "p" || runs.Len() != 7 {
		t.Errorf("CreatedBefore: %s of %d in %s, want those before the day", got, runs.Len(), old.Project())
	}
	named := runs.Where(func(run *trackio.Run) bool { return run.Name() > "run d" })
	if got := ids(slices.Collect(named.All())); got != "[x e f]" {
		t.Errorf("Where: %s", got)
	}
}
