package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

const (
	// liveWindow: a run with a row as young as this counts as still written to.
	liveWindow = time.Minute
	// changeTries is how often a change is planned anew when the run has changed
	// between its planning, without locks, and its execution.
	changeTries = 3
)

// errMovedOn: the run changed between planning and locking.
var errMovedOn = errors.New("the run changed meanwhile")

// plan is what is known about a run before a change of it begins. It is read
// without locks and holds as long as the revision does.
type plan struct {
	ref      trackio.RunRef
	name     string
	key      string // the column that identifies the run where it is
	started  string // timestamp of its oldest row
	revision string
	rows     rowCounts
	media    *runMedia
	force    bool
}

// planChange reads what a change of a run needs to know. An unknown run is
// ErrNotFound, one that may not be changed now ErrConflict.
//
// Rows of the project that wait in the inbox are imported first. A run that some
// of them are of is still written to, or as good as: it takes force. It need not
// have any other rows.
func (b *Backend) planChange(ctx context.Context, ref trackio.RunRef, g guard) (*plan, error) {
	own, all, err := b.waiting(ctx, ref)
	if err != nil {
		return nil, err
	}
	p, err := b.planNow(ctx, ref, g)
	unknown := errors.Is(err, trackio.ErrNotFound) && own > 0
	switch {
	case err != nil && !unknown, all == 0:
		return p, err
	case own > 0 && !g.force:
		return nil, trackio.Errorf(trackio.ErrConflict, "run %q has %d rows in %s that are not imported yet; it was not %s", ref.ID, own, b.inbox(), g.verb).
			WithHint("wait until the training has ended and open Trackio's dashboard once, which imports them, or force it: they are then imported first")
	}
	if err := b.drain(ctx, ref.Project); err != nil {
		return nil, err
	}
	return b.planNow(ctx, ref, g)
}

// planNow is planChange without a look at the inbox.
func (b *Backend) planNow(ctx context.Context, ref trackio.RunRef, guard guard) (*plan, error) {
	var p *plan
	err := b.readVisible(ctx, ref.Project, func(s *snapshot, gone goneRuns) error {
		p = &plan{ref: ref, key: s.schema.key, force: guard.force}
		first, err := oldest(ctx, s, s.schema, ref.ID)
		if err != nil {
			return err
		}
		if first == nil || gone[ref.ID] {
			return errNoRun(ref)
		}
		p.name, p.started = first.name, first.timestamp
		if p.revision, err = b.revision(ctx, s, s.schema, ref.ID); err != nil {
			return err
		}
		if err := guard.check(ctx, b, s, p); err != nil {
			return err
		}
		if p.rows, err = tableCounts(ctx, s, "main", s.schema, ref.ID); err != nil {
			return err
		}
		p.media, err = findMedia(ctx, s, s.schema, ref, p.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// guard is what the caller demands before a change.
type guard struct {
	verb       string // for messages: "moved", "deleted"
	ifRevision string
	force      bool
	delivered  bool // rows that wait for delivery stand against the change
	whole      bool // columns that this package does not know stand against it
}

// check refuses a change that the caller has not asked for knowingly.
func (g guard) check(ctx context.Context, b *Backend, s *snapshot, p *plan) error {
	if g.ifRevision != "" && g.ifRevision != p.revision {
		return trackio.Errorf(trackio.ErrConflict, "run %q has changed since it was looked at; it was not %s", p.ref.ID, g.verb).
			WithHint("look at it again, then repeat")
	}
	strange, err := strangeRows(ctx, s, s.schema, p.ref.ID, g.whole)
	if err != nil {
		return err
	}
	if len(strange) > 0 {
		return errStrange(p.ref.ID, g.verb, s.path, strange)
	}
	if g.force {
		return nil
	}
	_, latest, err := latestOf(ctx, s, s.schema, p.ref.ID)
	if err != nil {
		return err
	}
	if age := b.now().Sub(latest); !latest.IsZero() && age < liveWindow {
		return trackio.Errorf(trackio.ErrConflict, "run %q is still being written to: its last row is %s old; it was not %s",
			p.ref.ID, max(age, 0).Round(time.Second), g.verb).
			WithHint("wait until the training has ended, or force it: what is logged from then on comes in under the old place")
	}
	if !g.delivered {
		return nil
	}
	n, err := undelivered(ctx, s, s.schema, p.ref.ID)
	if err != nil {
		return err
	}
	if n > 0 {
		return trackio.Errorf(trackio.ErrConflict, "run %q has %d rows or files that Trackio has not delivered to its Space yet; it was not %s", p.ref.ID, n, g.verb).
			WithHint("run Python's `trackio sync --project %s` first, or force it: they are then delivered from the new place", p.ref.Project)
	}
	return nil
}

// errStrange is the error for a run of which there is more than is known here.
func errStrange(id, verb, path string, strange []string) error {
	return trackio.Errorf(errors.ErrUnsupported, "run %q cannot be %s: %s holds data of it that this version does not know: %s",
		id, verb, path, strings.Join(strange, ", ")).
		WithHint("a newer Trackio has written it; update this program")
}

// undelivered counts the rows and files of a run that wait for delivery.
func undelivered(ctx context.Context, q querier, s *schema, id string) (int64, error) {
	var total int64
	for _, name := range runTables {
		t := s.table(name)
		if t == nil || name != "pending_uploads" && !t.has["space_id"] {
			continue
		}
		var n int64
		query := fmt.Sprintf("SELECT count(*) FROM main.%s WHERE space_id IS NOT NULL AND +%s = ?", quote(name), t.key)
		if err := q.QueryRowContext(ctx, query, id).Scan(&n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// strangeRows names the tables and, when columns is set, the columns that this
// package does not know and that hold something of the run. A trigger acts on
// whatever is written, so it always counts.
func strangeRows(ctx context.Context, q querier, s *schema, id string, columns bool) ([]string, error) {
	var found []string
	for _, what := range s.unknown() {
		query := ""
		if column, table, ok := strings.Cut(strings.TrimPrefix(what, "column "), " of "); ok && strings.HasPrefix(what, "column ") {
			if t := s.table(table); columns && t != nil && slices.Contains(runTables[:], table) {
				query = fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM main.%s WHERE %s = ? AND %s IS NOT NULL)", quote(table), t.key, quote(column))
			}
		} else if name, ok := strings.CutPrefix(what, "table "); ok {
			name = strings.TrimSuffix(name, " without "+s.key)
			t, err := readTable(ctx, q, name)
			if err != nil {
				return nil, err
			}
			if t.has[s.key] {
				query = fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM main.%s WHERE %s = ?)", quote(name), s.key)
			}
		} else if strings.HasPrefix(what, "trigger ") {
			found = append(found, what)
		}
		if query == "" {
			continue
		}
		var exists bool
		if err := q.QueryRowContext(ctx, query, id).Scan(&exists); err != nil {
			return nil, err
		}
		if exists {
			found = append(found, what)
		}
	}
	return found, nil
}

// beforeChange readies the store for a change: it may be written to at all, and
// what an interrupted change left is settled first.
func (b *Backend) beforeChange(ctx context.Context) error {
	if err := checkFilesystem(b.dir); err != nil {
		return err
	}
	return b.recover(ctx)
}

// attempt repeats a change that found the run altered since it was planned.
func attempt(id string, try func() error) error {
	for range changeTries {
		if err := try(); !errors.Is(err, errMovedOn) {
			return err
		}
	}
	return trackio.Errorf(trackio.ErrConflict, "run %q keeps changing; nothing was done", id).
		WithHint("wait until nothing writes to it any more")
}

// checkRevision returns errMovedOn when the run in the writer's database is not
// the one that was planned for.
func (b *Backend) checkRevision(ctx context.Context, w *writer, p *plan) error {
	if w.schema.key != p.key {
		return errMovedOn
	}
	now, err := b.revision(ctx, w, w.schema, p.ref.ID)
	if err != nil {
		return wrapErr(cause(ctx, err), "read", w.path)
	}
	if now != p.revision {
		return errMovedOn
	}
	return nil
}

// changed describes a run after a change that has happened: whatever meets the
// look at it now does not make it undone.
func (b *Backend) changed(ctx context.Context, ref trackio.RunRef, name string) (trackio.RunInfo, error) {
	info, err := b.GetRun(context.WithoutCancel(ctx), ref)
	if err != nil {
		trackio.Note(ctx, "run %q of project %q is stored, but could not be read back: %v", ref.ID, ref.Project, err)
		return trackio.RunInfo{RunRef: ref, Name: name}, nil
	}
	return info, nil
}
