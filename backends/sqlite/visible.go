package sqlite

import (
	"context"
	"errors"

	"github.com/trackio-go/trackio/trackio"
)

// goneRuns are the ids of runs whose rows are still in a database although a
// move under way has brought them to another project already.
type goneRuns map[string]bool

// readVisible is read together with the runs that a move has taken away. A move
// commits in the target first and then in the source; with its journal our
// readers find the run in exactly one of them: in the target from its commit on.
//
// The journals are read before the snapshot is opened and after it was used. A
// move that stands in neither began and ended in between, so that nobody can
// have seen the run in the target before this read began.
func (b *Backend) readVisible(ctx context.Context, project string, do func(*snapshot, goneRuns) error) error {
	before, err := b.movedAway(ctx, project)
	if err != nil {
		return cause(ctx, err)
	}
	for {
		err := b.read(ctx, project, func(s *snapshot) error { return do(s, before) })
		if err != nil {
			return err
		}
		after, err := b.movedAway(ctx, project)
		if err != nil {
			return cause(ctx, err)
		}
		if before.covers(after) {
			return nil
		}
		before = after
	}
}

func (g goneRuns) covers(other goneRuns) bool {
	for id := range other {
		if !g[id] {
			return false
		}
	}
	return true
}

// movedAway returns the runs of a project that moves under way have committed in
// their targets.
func (b *Backend) movedAway(ctx context.Context, project string) (goneRuns, error) {
	ops, err := b.operations()
	if err != nil {
		return nil, err
	}
	gone := goneRuns{}
	for _, op := range ops {
		if op.Kind != opMove || op.Source != project {
			continue
		}
		arrived, err := b.holds(ctx, trackio.RunRef{Project: op.Target, ID: op.NewID})
		if err != nil {
			return nil, err
		}
		if arrived {
			gone[op.RunID] = true
		}
	}
	return gone, nil
}

// holds reports whether the database of a project has anything of a run.
func (b *Backend) holds(ctx context.Context, ref trackio.RunRef) (bool, error) {
	found := false
	err := b.read(ctx, ref.Project, func(s *snapshot) error {
		first, err := oldest(ctx, s, s.schema, ref.ID)
		found = first != nil
		return err
	})
	if errors.Is(err, trackio.ErrNotFound) {
		return false, nil
	}
	return found, err
}
