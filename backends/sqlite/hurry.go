package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// hurry is a change of a run in a project in which a training process waits for
// the lock: one that would keep it for longer than lockBudget is refused. A nil
// hurry has all the time it needs.
type hurry struct {
	w     *writer
	in    string // the database that the run's rows are in: "main" or "src"
	doing string // for the message: "moving"
	// share is how much longer than the statements themselves the lock is held.
	share float64
	until time.Time // the statements have to be done
}

const (
	// sampleRows are treated first, to see how long the others will take.
	sampleRows = 5000
	// moveShare: the rows that were copied are deleted as well, within the same
	// hold of the locks.
	moveShare = 2.5
	// changeShare: what was changed is written to the WAL, and from there to the
	// database.
	changeShare = 1.5
)

// inHurry returns the hurry of a change in the writer's database; nil when it is
// forced, or when nobody else writes there.
func (b *Backend) inHurry(ctx context.Context, w *writer, p *plan, doing string) *hurry {
	if p.force || !b.someoneWaits(ctx, w) {
		return nil
	}
	return b.newHurry(w, "main", doing, changeShare)
}

func (b *Backend) newHurry(w *writer, in, doing string, share float64) *hurry {
	budget := time.Duration(float64(lockBudget) / share)
	return &hurry{w: w, in: in, doing: doing, share: share, until: time.Now().Add(budget)}
}

func (h *hurry) hint() string {
	if h.doing == "importing" { // which nothing forces
		return "import it into another project, and move it here when the training has ended"
	}
	return "try again when the training has ended, or force it"
}

// within does work, which must not be the commit, and gives it up when it takes
// longer than was estimated, as on a machine that is busy with something else.
func (h *hurry) within(ctx context.Context, work func(context.Context) error) error {
	if h == nil {
		return work(ctx)
	}
	limited, cancel := context.WithDeadline(ctx, h.until)
	defer cancel()
	err := work(limited)
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return err
	}
	return trackio.Errorf(trackio.ErrConflict, "%s the run was given up: it would hold the project's lock for longer than %s, and a training process is writing to the project: it would lose rows",
		h.doing, lockBudget).WithHint("%s", h.hint())
}

// over calls do for the run's rows of a table: once for all of them or, to see
// how long that would take, for the first and then for the others. where is true
// for these rows.
func (h *hurry) over(ctx context.Context, t *table, id string, do func(where string, args ...any) (int64, error)) (int64, error) {
	ofRun := t.key + " = ?"
	if h == nil {
		return do(ofRun, id)
	}
	from := fmt.Sprintf("FROM %s.%s WHERE %s", h.in, quote(t.name), ofRun)
	var total int64
	if err := h.w.QueryRowContext(ctx, "SELECT count(*) "+from, id).Scan(&total); err != nil {
		return 0, wrapErr(cause(ctx, err), "read", h.w.path)
	}
	if total <= 2*sampleRows {
		return do(ofRun, id)
	}
	var begin, border int64
	sampling := fmt.Sprintf("SELECT min(rowid), max(rowid) FROM (SELECT rowid %s ORDER BY rowid LIMIT %d)", from, sampleRows)
	if err := h.w.QueryRowContext(ctx, sampling, id).Scan(&begin, &border); err != nil {
		return 0, wrapErr(cause(ctx, err), "read", h.w.path)
	}
	start := time.Now()
	// +: by their numbers; the index of the runs would be read to its end.
	first, err := do("+"+ofRun+" AND rowid BETWEEN ? AND ?", id, begin, border)
	if err != nil {
		return 0, err
	}
	estimate := time.Duration(float64(time.Since(start)) / sampleRows * float64(total) * h.share)
	if estimate > lockBudget {
		return 0, trackio.Errorf(trackio.ErrConflict, "%s %d rows of %s would hold the project's lock for about %s, and a training process is writing to the project: it would lose rows",
			h.doing, total, t.name, estimate.Round(time.Second)).
			WithHint("%s", h.hint())
	}
	rest, err := do(ofRun+" AND +rowid > ?", id, border)
	return first + rest, err
}
