package sqlite

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// ExportRun implements [trackio.Backend]. All of it is one state of the run: it
// stands on one snapshot of the database, or, where the database file had to be
// opened anew, on snapshots in which that state is still there, be it with newer
// rows after it. A run that changes in another way meanwhile ends the stream with
// [trackio.ErrConflict].
func (b *Backend) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer leave()
		e := &exporter{b: b, ctx: ctx, ref: ref, opts: opts, yield: yield}
		defer e.close()
		err = e.run()
		if err != nil && !errors.Is(err, errLeft) {
			yield(nil, cause(ctx, err))
		}
	}
}

// errLeft: the caller left the loop.
var errLeft = errors.New("the loop was left")

// batchSize is how many bytes of payload a record carries; a larger row comes
// alone.
const batchSize = 256 << 10

// exporter is the state of one export.
type exporter struct {
	b     *Backend
	ctx   context.Context
	ref   trackio.RunRef
	opts  trackio.ExportOptions
	yield func(trackio.Record, error) bool

	snap *snapshot
	info trackio.RunInfo
	last map[string]int64 // the last row of each table that belongs to the stream
	refs *refMap
}

func (e *exporter) close() {
	if e.snap != nil {
		e.snap.Close()
	}
}

func (e *exporter) run() error {
	if err := e.begin(); err != nil {
		return err
	}
	kinds := e.opts.Kinds & trackio.AllKinds
	if e.opts.Kinds == 0 {
		kinds = trackio.AllKinds
	}
	if err := e.send(&trackio.Header{RunInfo: e.info, Kinds: kinds}); err != nil {
		return err
	}
	if kinds.Has(trackio.KindConfig) {
		if err := e.config(); err != nil {
			return err
		}
	}
	for _, reader := range rowReaders() {
		if kinds.Has(reader.kind) || kinds.Has(trackio.KindMedia) && reader.refs {
			if err := e.rows(reader, kinds.Has(reader.kind)); err != nil {
				return err
			}
		}
	}
	if kinds.Has(trackio.KindMedia) {
		return e.media()
	}
	return nil
}

// begin opens the snapshot and reads what the header says.
func (e *exporter) begin() error {
	e.refs = newRefMap(e.ref.Project, "")
	gone, err := e.b.movedAway(e.ctx, e.ref.Project)
	if err != nil {
		return err
	}
	err = e.open(func(s *snapshot) (err error) {
		if e.window() {
			e.info, err = readRun(e.ctx, s, s.schema, e.ref, trackio.ListOptions{Config: true, Latest: true})
			return err
		}
		if e.info, err = e.b.getRun(e.ctx, s, s.schema, e.ref); err != nil {
			return err
		}
		if err := e.whole(s); err != nil {
			return err
		}
		e.last, err = lastRows(e.ctx, s, s.schema, e.ref.ID)
		return err
	})
	if err != nil {
		return err
	}
	after, err := e.b.movedAway(e.ctx, e.ref.Project)
	if err != nil {
		return err
	}
	if gone[e.ref.ID] || after[e.ref.ID] {
		return errNoRun(e.ref)
	}
	e.refs = newRefMap(e.ref.Project, e.info.Name)
	return nil
}

// whole refuses an export of everything when there is more of the run than this
// package knows: a copy made of the stream would not be the run, and the run
// could be deleted for it.
func (e *exporter) whole(s *snapshot) error {
	if e.opts.Kinds != 0 && e.opts.Kinds != trackio.AllKinds {
		return nil
	}
	strange, err := strangeRows(e.ctx, s, s.schema, e.ref.ID, true)
	strange = slices.DeleteFunc(strange, func(what string) bool { return strings.HasPrefix(what, "trigger ") })
	if err != nil || len(strange) == 0 { // triggers act on what is written, not on what is read
		return err
	}
	return errStrange(e.ref.ID, "exported whole", s.path, strange)
}

// window reports that only a part of the rows is wanted. Its cost must not grow
// with the run, so no revision is computed, which counts the rows.
func (e *exporter) window() bool {
	return e.opts.Steps != trackio.Range[int64]{} || e.opts.Times != trackio.Range[time.Time]{}
}

// open opens a snapshot that satisfies look.
func (e *exporter) open(look func(*snapshot) error) error {
	for try := 1; ; try++ {
		e.close()
		e.snap = nil
		snap, err := e.b.openReadVia(e.ctx, e.ref.Project, try == readTries)
		if err == nil {
			e.snap = snap
			err = located(takenAway(look(snap), snap.path), snap.path)
			if stale := snap.check(); stale != nil {
				err = stale
			}
		}
		if !errors.Is(err, errStale) {
			return err
		}
		if try == readTries {
			return errChanging(e.b.db(e.ref.Project))
		}
	}
}

// steady calls do on the snapshot and, when that turns out to be stale, on a
// fresh one in which the run is what the header says. Do hands out nothing before
// the check of the snapshot has returned nil.
func (e *exporter) steady(do func(*snapshot) error) error {
	for {
		err := do(e.snap)
		if errors.Is(err, errLeft) {
			return err
		}
		stale := e.snap.check()
		if stale == nil {
			return located(err, e.snap.path)
		}
		if !errors.Is(stale, errStale) {
			return stale
		}
		if err := e.open(e.unchanged); err != nil {
			return err
		}
	}
}

// unchanged returns ErrConflict when the run is not what the header says. Rows
// that a live run has gained since are none of the stream's.
func (e *exporter) unchanged(s *snapshot) error {
	changed := trackio.Errorf(trackio.ErrConflict, "run %q of project %q changed while it was read", e.ref.ID, e.ref.Project).
		WithHint("try again")
	if e.window() {
		return changed // there is no revision to tell by
	}
	revision, err := revisionUpTo(e.ctx, s, s.schema, e.ref.ID, e.last)
	if err != nil {
		return err
	}
	if revision != e.info.Revision {
		return changed
	}
	return nil
}

func (e *exporter) config() (err error) {
	var config *trackio.Config
	err = e.steady(func(s *snapshot) error {
		config, err = readConfig(e.ctx, s, s.schema, e.ref.ID)
		return err
	})
	if err != nil || config == nil {
		return err
	}
	return e.send(config)
}

// send hands a record to the caller.
func (e *exporter) send(r trackio.Record) error {
	if e.b.done.Err() != nil {
		return errClosed
	}
	if err := e.ctx.Err(); err != nil {
		return err
	}
	if !e.yield(r, nil) {
		return errLeft
	}
	return nil
}
