package sqlite

import (
	"context"
	"sync"
)

// removal deletes a run's rows from the source of a move, in a transaction that
// commits after the target's. In WAL mode readers and a writer do not wait for
// each other, so that the rows go in the source while they are copied from what
// it last committed; with a rollback journal they would.
type removal struct {
	beside bool // deletes while the target's transaction runs
	wait   func() (rowCounts, error)
	cancel context.CancelFunc
}

// startRemoval begins to delete the rows. From here on the writer is the
// removal's, until wait or stop has returned.
func startRemoval(ctx context.Context, source *writer, id string) *removal {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &removal{beside: source.wal, cancel: cancel}
	r.wait = sync.OnceValues(func() (rowCounts, error) { return source.removeRows(ctx, id, nil) })
	if r.beside {
		go func() { _, _ = r.wait() }() // whoever waits is told
	}
	return r
}

// stop gives the removal up, for a move that did not come to its commit.
func (r *removal) stop() {
	r.cancel()
	_, _ = r.wait()
}
