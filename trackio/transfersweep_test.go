package trackio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// trap goes off at the n-th of the moments at which something can happen: before
// and after each call of either storage, and before each record of a stream.
type trap struct {
	n, at   int
	spring  func() error // what happens then
	forever bool         // and at every moment afterwards
}

func (p *trap) step() error {
	if p.n++; p.n == p.at || p.forever && p.n > p.at {
		return p.spring()
	}
	return nil
}

// set lays the trap around a storage.
func (p *trap) set(a *altered) {
	b := a.Backend
	a.getRun = func(ctx context.Context, ref trackio.RunRef) (info trackio.RunInfo, err error) {
		err = p.around(func() error { info, err = b.GetRun(ctx, ref); return err })
		return info, err
	}
	a.importRun = func(ctx context.Context, ref trackio.RunRef, records recordSeq) (info trackio.RunInfo, err error) {
		err = p.around(func() error { info, err = b.ImportRun(ctx, ref, records); return err })
		return info, err
	}
	a.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
		return p.around(func() error { return b.DeleteRun(ctx, ref, opts) })
	}
	a.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) recordSeq {
		return func(yield func(trackio.Record, error) bool) {
			for record, err := range b.ExportRun(ctx, ref, opts) {
				if failed := p.step(); failed != nil {
					record, err = nil, failed
				}
				if !yield(record, err) || err != nil {
					return
				}
			}
			if failed := p.step(); failed != nil {
				yield(nil, failed)
			}
		}
	}
}

func (p *trap) around(call func() error) error {
	if err := p.step(); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return p.step()
}

// TestTransferAtEveryMoment lets a copy and a move fail, or be given up, at every
// moment there is. Never is the last copy gone; success means a whole copy and,
// for a move, no run in the old place; and the next try completes what was left.
func TestTransferAtEveryMoment(t *testing.T) {
	for _, way := range []string{"copy", "move"} {
		for _, what := range []string{"cancelled", "fails once", "fails from then on"} {
			for _, start := range []string{"fresh", "interrupted", "interrupted, equal revisions", "other"} {
				t.Run(strings.ReplaceAll(way+"/"+what+"/"+start, " ", "-"), func(t *testing.T) {
					at := 1
					for ; at < 1000 && sweep(t, way, what, start, at); at++ {
					}
					t.Logf("%d moments", at-1)
					if least := 10; at-1 < least {
						t.Errorf("the trap went off at %d moments, want %d at least", at-1, least)
					}
				})
			}
		}
	}
}

// sweep tries once, and reports whether the trap has gone off.
func sweep(t *testing.T, way, what, start string, at int) bool {
	t.Helper()
	r := newRig(t, start == "interrupted, equal revisions")
	switch {
	case strings.HasPrefix(start, "interrupted"):
		r.put(r.targetHandle, there, sampleRun())
	case start == "other":
		r.put(r.targetHandle, there, grown())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &trap{at: at, forever: what == "fails from then on", spring: func() error {
		return trackio.Errorf(trackio.ErrBackendDied, "the process is gone")
	}}
	if what == "cancelled" {
		p.spring = func() error { cancel(); return nil }
	}
	honestFrom, honestTo := r.from.Backend, r.to.Backend
	p.set(r.from)
	p.set(r.to)
	var err error
	if way == "copy" {
		err = r.copy(ctx, trackio.CopyOptions{})
	} else {
		err = r.move(ctx, trackio.MoveOptions{})
	}
	if p.n < at {
		return false
	}
	moment := fmt.Sprintf("%s, %s at moment %d, from %s: %v", way, what, at, start, err)
	source, target := r.state(r.sourceHandle, here), r.state(r.targetHandle, there)
	switch {
	case source != whole && target != whole:
		t.Fatalf("%s: the run is lost: source %s, target %s", moment, source, target)
	case way == "copy" && source != whole:
		t.Errorf("%s: a copy took the run away", moment)
	case err == nil && target != whole, err == nil && way == "move" && source != none:
		t.Errorf("%s: it succeeded, and yet source %s, target %s", moment, source, target)
	case start == "other" && target != other:
		t.Errorf("%s: another run of that id is %s", moment, target)
	case what == "cancelled" && err != nil && !errors.Is(err, context.Canceled) && trackio.KindOf(err) != trackio.ErrExists:
		t.Errorf("%s: the error is not that of the context", moment)
	case what == "cancelled" && start == "fresh" && errors.Is(err, context.Canceled) && target == whole && !strings.Contains(err.Error(), there.Project):
		t.Errorf("%s: a copy was left, and nothing says so", moment)
	}

	r.from.Backend, r.to.Backend = honestFrom, honestTo
	*r.from, *r.to = altered{Backend: honestFrom}, altered{Backend: honestTo}
	if way == "move" && err == nil {
		r.expect(none, whole) // and nothing else is there
	}
	if way == "copy" || source != whole {
		return true
	}
	err = r.move(t.Context(), trackio.MoveOptions{})
	if start == "other" {
		if trackio.KindOf(err) != trackio.ErrExists {
			t.Errorf("%s; then the next move: %v, want exists", moment, err)
		}
		r.expect(whole, other)
		return true
	}
	if err != nil {
		t.Errorf("%s; then the next move: %v", moment, err)
	}
	r.expect(none, whole)
	return true
}
