package trackio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Where returns the runs for which keep is true, in their order.
func (r *Runs) Where(keep func(*Run) bool) *Runs {
	kept := &Runs{project: r.project}
	for _, run := range r.runs {
		if keep(run) {
			kept.runs = append(kept.runs, run)
		}
	}
	return kept
}

// CreatedBefore returns the runs that were created before a time. Those of which
// it is not known when they were are not among them.
func (r *Runs) CreatedBefore(t time.Time) *Runs {
	return r.Where(func(run *Run) bool {
		created := run.CreatedAt()
		return !created.IsZero() && created.Before(t)
	})
}

// BulkOptions says how something is done to many runs.
type BulkOptions struct {
	Force bool // as in DeleteOptions, MoveOptions and CopyOptions
	// Progress, when it is not nil, is called after each run that was dealt with,
	// by the goroutine that called: done of total have been, last is the newest.
	Progress func(done, total int, last BulkResult)
}

// BulkResult is what became of one run in an operation on many.
type BulkResult struct {
	Run  *Run  // the run; after a move it says where it is now
	Copy *Run  // what [Runs.Copy] has made of it
	Err  error // nil when it was done; the context's error when that ended before its turn
}

// Delete deletes the runs, as [Run.DeleteWith] would each: in few steps where the
// storage can (see [BulkChanger]), else one after the other. A run that cannot be
// deleted does not keep the others from it.
//
// There is one result for each run, in their order. The error is nil when all of
// them were deleted; else it sums up and wraps those of the results, and has the
// kind of the first, or the context's error when that has ended: then no further
// run is begun.
func (r *Runs) Delete(ctx context.Context, opts BulkOptions) ([]BulkResult, error) {
	b := newBulk(r, "deleted", opts)
	b.together(ctx, func(_ Backend, ref RunRef) (Change, error) {
		return Change{Run: ref, Kind: ChangeDelete, Force: opts.Force}, nil
	})
	b.oneByOne(ctx, func(result *BulkResult) error {
		return result.Run.DeleteWith(ctx, DeleteOptions{Force: opts.Force})
	})
	return b.end(ctx)
}

// Move moves the runs to another project, as [Run.MoveWith] would each, with
// steps, results and an error as in Delete.
func (r *Runs) Move(ctx context.Context, project string, opts BulkOptions) ([]BulkResult, error) {
	target := CanonicalProject(project)
	b := newBulk(r, "moved", opts)
	var reserved error
	asked := false
	b.together(ctx, func(backend Backend, ref RunRef) (Change, error) {
		if target == ref.Project {
			return Change{}, errAlreadyIn(ref, target)
		}
		if !asked {
			reserved, asked = checkTarget(ctx, backend, target), true
		}
		return Change{Run: ref, Kind: ChangeMove, To: target, Force: opts.Force}, reserved
	})
	b.oneByOne(ctx, func(result *BulkResult) error {
		return result.Run.MoveWith(ctx, target, MoveOptions{Force: opts.Force})
	})
	return b.end(ctx)
}

// MoveTo moves the runs into a project of another storage, one after the other as
// [Run.MoveTo], with results and an error as in Delete.
func (r *Runs) MoveTo(ctx context.Context, to *Api, project string, opts BulkOptions) ([]BulkResult, error) {
	elsewhere := func(run *Run) bool {
		from, _ := run.where()
		return !sameBackend(from, to.backend)
	}
	if !slices.ContainsFunc(r.runs, elsewhere) {
		return r.Move(ctx, project, opts)
	}
	b := newBulk(r, "moved", opts)
	b.oneByOne(ctx, func(result *BulkResult) error {
		return result.Run.MoveTo(ctx, to, project, MoveOptions{Force: opts.Force})
	})
	return b.end(ctx)
}

// Copy copies the runs into a project of a storage, one after the other as
// [Run.Copy], with results and an error as in Delete.
func (r *Runs) Copy(ctx context.Context, to *Api, project string, opts BulkOptions) ([]BulkResult, error) {
	b := newBulk(r, "copied", opts)
	b.oneByOne(ctx, func(result *BulkResult) (err error) {
		result.Copy, err = result.Run.Copy(ctx, to, project, CopyOptions{Force: opts.Force})
		return err
	})
	return b.end(ctx)
}

// bulk is one operation on many runs under way.
type bulk struct {
	past    string // what was done, for the summary
	opts    BulkOptions
	results []BulkResult
	settled []bool // the result is final
	done    int    // how many runs were dealt with
}

func newBulk(r *Runs, past string, opts BulkOptions) *bulk {
	b := &bulk{past: past, opts: opts, results: make([]BulkResult, len(r.runs)), settled: make([]bool, len(r.runs))}
	for i, run := range r.runs {
		b.results[i].Run = run
	}
	return b
}

// settle says what became of a run that was dealt with.
func (b *bulk) settle(i int, err error) {
	b.results[i].Err, b.settled[i] = err, true
	b.done++
	if b.opts.Progress != nil {
		b.opts.Progress(b.done, len(b.results), b.results[i])
	}
}

// together makes one call for all runs of the first run's storage, if that takes
// such calls. It leaves open what has to be done one by one.
func (b *bulk) together(ctx context.Context, change func(Backend, RunRef) (Change, error)) {
	if len(b.results) == 0 {
		return
	}
	storage, _ := b.results[0].Run.where()
	changer, ok := As[BulkChanger](storage)
	if !ok {
		return
	}
	var open []int
	var changes []Change
	for i := range b.results {
		backend, ref := b.results[i].Run.where()
		if i > 0 && !sameBackend(backend, storage) {
			continue
		}
		c, err := change(storage, ref)
		if err != nil {
			b.settle(i, err)
			continue
		}
		open, changes = append(open, i), append(changes, c)
	}
	if len(changes) == 0 {
		return
	}
	for result, err := range changer.ChangeRuns(ctx, changes) {
		if err != nil {
			if !errors.Is(err, errors.ErrUnsupported) {
				b.stop(open, err)
			}
			return
		}
		if len(open) == 0 {
			return
		}
		i, c := open[0], changes[len(changes)-len(open)]
		open = open[1:]
		switch {
		case c.Kind != ChangeDelete && errors.Is(result.Err, errors.ErrUnsupported):
			continue // not this run, not like this
		case c.Kind != ChangeDelete && result.Err == nil:
			b.results[i].Run.settle(storage, result.Run)
		}
		b.settle(i, result.Err)
	}
	b.stop(open, Errorf(ErrUnavailable, "the storage did not say what became of the run").WithHint("look at the run"))
}

// stop says why runs were not reached.
func (b *bulk) stop(open []int, err error) {
	for _, i := range open {
		b.results[i].Err, b.settled[i] = err, true
	}
}

// oneByOne does what is left.
func (b *bulk) oneByOne(ctx context.Context, do func(*BulkResult) error) {
	for i := range b.results {
		if b.settled[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			b.stop([]int{i}, err)
			continue
		}
		b.settle(i, do(&b.results[i]))
	}
}

// shownErrors is how many different errors a summary spells out.
const shownErrors = 3

// end returns the results and sums up the errors in them.
func (b *bulk) end(ctx context.Context) ([]BulkResult, error) {
	var failed []error // the different ones
	var texts []string
	seen := map[string]bool{}
	n := 0
	for _, result := range b.results {
		if result.Err == nil {
			continue
		}
		n++
		if text := result.Err.Error(); !seen[text] {
			seen[text] = true
			failed, texts = append(failed, result.Err), append(texts, text)
		}
	}
	if n == 0 {
		return b.results, nil
	}
	first := failed[0]
	if ended := ctx.Err(); ended != nil {
		first = ended
	}
	message := fmt.Sprintf("%d of %d runs were not %s: %s", n, len(b.results), b.past, strings.Join(texts[:min(len(texts), shownErrors)], "; "))
	if more := len(texts) - shownErrors; more > 0 {
		message += fmt.Sprintf("; and %d more errors", more)
	}
	return b.results, &Error{Kind: KindOf(first), Message: message, Hint: HintOf(first), Err: errors.Join(failed...)}
}
