package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func concurrencyChecks() []Check {
	const (
		whole     = "A run is whole or absent wherever one looks."
		processes = "Two processes on one storage are safe."
	)
	return []Check{
		{"concurrency/import-unseen", whole, importUnseen},
		{"concurrency/import-twice", processes, importTwice},
		{"concurrency/move-twice", processes, moveTwice},
		{"concurrency/move-watched", "At every moment, also after a kill, readers find the run in exactly one of the two projects.", moveWatched},
		{"concurrency/export-and-delete", "A stream that ends without an error is whole: data that cannot be read ends it with [ErrDataLoss] or the error of the storage, never early and silently.", exportAndDelete},
		{"concurrency/export-and-move", "ExportRun yields the run as a stream of records (see [Record]), all of it from one snapshot.", exportAndMove},
		{"concurrency/many-callers", "Its methods may be called by several goroutines at once, and several processes may use one storage at the same time.", manyCallers},
	}
}

// importUnseen looks for the run while its stream is being read.
func importUnseen(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	beside := e.ref()
	if _, err := put(ctx, e.Backend, beside, small(e.Key(), "beside")); err != nil {
		return err
	}
	ref := trackio.RunRef{Project: beside.Project, ID: e.Key()}
	want := full(e.Key(), "unseen")
	var seen error
	records := func(yield func(trackio.Record, error) bool) {
		for i, record := range want.list(4) {
			if seen == nil {
				seen = within(15*time.Second, fmt.Sprintf("a look at the storage before record %d of an import under way", i),
					func() error { return errors.Join(absent(ctx, other, ref), absent(ctx, e.Backend, ref)) })
			}
			if !yield(record, nil) {
				return
			}
		}
	}
	if _, err := e.Backend.ImportRun(ctx, ref, records); err != nil {
		return fmt.Errorf("ImportRun(%s): %w", at(ref), err)
	}
	if seen != nil {
		return seen
	}
	return holds(ctx, other, ref, want)
}

// meet returns a function that waits until it was called n times, or long enough
// for a storage that lets one in at a time.
func meet(n int) func() {
	var mu sync.Mutex
	all := make(chan struct{})
	return func() {
		mu.Lock()
		if n--; n == 0 {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-time.After(time.Second):
		}
	}
}

// together makes two calls at the same time.
func together(call func(i int) error) [2]error {
	var (
		errs [2]error
		wg   sync.WaitGroup
	)
	ready := meet(2)
	for i := range errs {
		wg.Go(func() {
			ready()
			errs[i] = call(i)
		})
	}
	wg.Wait()
	return errs
}

// winner returns which of two calls succeeded; the other must have failed with
// one of the kinds.
func winner(what string, errs [2]error, losing ...error) (int, error) {
	switch {
	case errs[0] == nil && errs[1] == nil:
		return 0, fmt.Errorf("%s: both succeeded, want one", what)
	case errs[0] != nil && errs[1] != nil:
		return 0, fmt.Errorf("%s: both failed, want one to succeed: %w", what, errors.Join(errs[0], errs[1]))
	case errs[0] == nil:
		return 0, wantKind(what+": the call that lost", errs[1], losing...)
	default:
		return 1, wantKind(what+": the call that lost", errs[0], losing...)
	}
}

func importTwice(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	handles := [2]trackio.Backend{e.Backend, other}
	for range 4 {
		ref := e.ref()
		var runs [2]run
		for i := range runs {
			runs[i] = withMedia(e.Key(), fmt.Sprintf("try %d", i), newFile("0/a.png", fmt.Append(nil, "of try ", i)))
		}
		ready := meet(2)
		errs := together(func(i int) error {
			records := func(yield func(trackio.Record, error) bool) {
				for n, record := range runs[i].list(1) {
					if n == 1 {
						ready() // both have begun
					}
					if !yield(record, nil) {
						return
					}
				}
			}
			_, err := handles[i].ImportRun(ctx, ref, records)
			return err
		})
		won, err := winner("two imports of one id at once", errs, trackio.ErrExists)
		if err != nil {
			return err
		}
		if err := errors.Join(holds(ctx, e.Backend, ref, runs[won]), holds(ctx, other, ref, runs[won])); err != nil {
			return fmt.Errorf("after two imports of one id at once: %w", err)
		}
	}
	return nil
}

func moveTwice(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.Mover](e); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	var movers [2]trackio.Mover
	for i, b := range []trackio.Backend{e.Backend, other} {
		movers[i], _ = trackio.As[trackio.Mover](b)
	}
	for range 4 {
		ref := e.ref()
		want := full(e.Key(), "moved twice").delivered()
		if _, err := put(ctx, e.Backend, ref, want); err != nil {
			return err
		}
		targets := [2]trackio.RunRef{{Project: e.Project(), ID: ref.ID}, {Project: e.Project(), ID: ref.ID}}
		errs := together(func(i int) error {
			_, err := movers[i].MoveRun(ctx, ref, targets[i].Project, trackio.MoveOptions{})
			return err
		})
		won, err := winner("two moves of one run at once", errs, trackio.ErrNotFound, trackio.ErrConflict, trackio.ErrUnavailable)
		if err != nil {
			return err
		}
		if err := errors.Join(
			absent(ctx, e.Backend, ref), absent(ctx, other, targets[1-won]), holds(ctx, e.Backend, targets[won], want),
		); err != nil {
			return fmt.Errorf("after two moves of one run at once: %w", err)
		}
	}
	return nil
}

// moveWatched moves runs one after the other while somebody looks. When the run
// is gone from the source it must be in the target, and when it is in the target
// it must be gone from the source.
func moveWatched(ctx context.Context, e *Env) error {
	mover, err := capability[trackio.Mover](e)
	if err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	source, target := e.Project(), e.Project()
	for range 5 {
		ref := trackio.RunRef{Project: source, ID: e.Key()}
		next := trackio.RunRef{Project: target, ID: ref.ID}
		want := full(e.Key(), "watched").delivered()
		if _, err := put(ctx, e.Backend, ref, want); err != nil {
			return err
		}
		stop, seen := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				if err := inOnePlace(ctx, other, ref, next); err != nil {
					seen <- err
					return
				}
				select {
				case <-stop:
					seen <- nil
					return
				default:
				}
			}
		}()
		_, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{})
		close(stop)
		if err := <-seen; err != nil {
			return err
		}
		if err != nil {
			return fmt.Errorf("MoveRun(%s): %w", at(ref), err)
		}
		if err := holds(ctx, other, next, want); err != nil {
			return err
		}
	}
	return nil
}

// inOnePlace looks in the source and then in the target, and the other way
// round. The run moves one way only, so either order of looks has a sure answer.
func inOnePlace(ctx context.Context, b trackio.Backend, source, target trackio.RunRef) error {
	is := func(ref trackio.RunRef) (bool, error) {
		_, err := b.GetRun(ctx, ref)
		if trackio.KindOf(err) == trackio.ErrNotFound {
			return false, nil
		}
		return err == nil, err
	}
	there, err := is(source)
	if err != nil {
		return fmt.Errorf("GetRun(%s) during a move: %w", at(source), err)
	}
	if !there {
		arrived, err := is(target)
		if err != nil {
			return fmt.Errorf("GetRun(%s) during a move: %w", at(target), err)
		}
		if !arrived {
			return errors.New("during a move, the run was neither in the source nor in the target")
		}
	}
	there, err = is(target)
	if err != nil {
		return fmt.Errorf("GetRun(%s) during a move: %w", at(target), err)
	}
	if there {
		still, err := is(source)
		if err != nil {
			return fmt.Errorf("GetRun(%s) during a move: %w", at(source), err)
		}
		if still {
			return errors.New("during a move, the run was in the target and still in the source")
		}
	}
	return nil
}

func manyCallers(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	project := e.Project()
	kept := map[trackio.RunRef]run{}
	type task struct {
		b           trackio.Backend
		keeps, goes trackio.RunRef
		r           run
	}
	var tasks []task
	for i := range 6 {
		t := task{b: e.Backend, r: withMedia(e.Key(), "one name", newFile("0/a.png", fmt.Append(nil, "of caller ", i)))}
		if i%2 == 1 {
			t.b = other
		}
		t.keeps, t.goes = trackio.RunRef{Project: project, ID: e.Key()}, trackio.RunRef{Project: project, ID: e.Key()}
		kept[t.keeps] = t.r
		tasks = append(tasks, t)
	}
	second := make([]run, len(tasks))
	for i := range second {
		second[i] = withMedia(e.Key(), "one name", newFile("0/a.png", []byte("passing")))
	}
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	for i, t := range tasks {
		wg.Go(func() {
			errs[i] = func() error {
				if _, err := put(ctx, t.b, t.keeps, t.r); err != nil {
					return err
				}
				if _, err := put(ctx, t.b, t.goes, second[i]); err != nil {
					return err
				}
				if err := holds(ctx, t.b, t.keeps, t.r); err != nil {
					return err
				}
				if err := t.b.DeleteRun(ctx, t.goes, trackio.DeleteOptions{}); err != nil {
					return fmt.Errorf("DeleteRun(%s): %w", at(t.goes), err)
				}
				return absent(ctx, t.b, t.goes)
			}()
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("six callers at once: %w", err)
	}
	infos, err := listRuns(ctx, e.Backend, project, trackio.ListOptions{})
	if err != nil {
		return fmt.Errorf("ListRuns: %w", err)
	}
	if !slices.IsSortedFunc(infos, func(x, y trackio.RunInfo) int { return x.CreatedAt.Compare(y.CreatedAt) }) || len(infos) != len(kept) {
		return fmt.Errorf("ListRuns lists %d runs, want the %d that were kept, oldest first", len(infos), len(kept))
	}
	return holdsAll(ctx, e.Backend, kept)
}
