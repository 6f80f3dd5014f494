package memory

import (
	"context"
	"iter"

	"github.com/trackio-go/trackio/trackio"
)

// DeleteRun removes a run.
func (b *Backend) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	_, err := b.change(ctx, trackio.Change{Run: ref, Kind: trackio.ChangeDelete, IfRevision: opts.IfRevision, Force: opts.Force})
	return err
}

// MoveRun moves a run to another project.
func (b *Backend) MoveRun(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
	return b.change(ctx, trackio.Change{Run: ref, Kind: trackio.ChangeMove, To: project, IfRevision: opts.IfRevision, Force: opts.Force})
}

// RenameRun changes the name of a run.
func (b *Backend) RenameRun(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
	return b.change(ctx, trackio.Change{Run: ref, Kind: trackio.ChangeRename, Name: name, IfRevision: opts.IfRevision, Force: opts.Force})
}

// change makes one change and returns all that is known of the run then.
func (b *Backend) change(ctx context.Context, c trackio.Change) (trackio.RunInfo, error) {
	var changed *run
	err := b.write(ctx, func() (err error) {
		changed, err = b.store.change(c)
		return err
	})
	if err != nil || changed == nil {
		return trackio.RunInfo{}, err
	}
	return changed.info(), nil
}

// ChangeRuns changes many runs, all of them in one step.
func (b *Backend) ChangeRuns(ctx context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
	return func(yield func(trackio.ChangeResult, error) bool) {
		results := make([]trackio.ChangeResult, len(changes))
		err := b.write(ctx, func() error {
			for i, c := range changes {
				changed, err := b.store.change(c)
				results[i].Err = err
				if changed != nil {
					results[i].Run = changed.listed(trackio.ListOptions{})
					results[i].Run.Revision = changed.revision
				}
			}
			return nil
		})
		if err != nil {
			yield(trackio.ChangeResult{}, err)
			return
		}
		for _, result := range results {
			if !yield(result, nil) {
				return
			}
		}
	}
}

// change makes one change and returns the run as it is then, nil when it is gone.
func (s *Store) change(c trackio.Change) (*run, error) {
	if c.Kind == trackio.ChangeMove && c.To == c.Run.Project {
		return nil, trackio.Errorf(trackio.ErrInvalid, "run %q is in project %q already", c.Run.ID, c.To).
			WithHint("name another project")
	}
	r, err := s.run(c.Run)
	if err != nil {
		return nil, err
	}
	if err := r.guard(c.IfRevision, c.Force); err != nil {
		return nil, err
	}
	switch c.Kind {
	case trackio.ChangeMove:
		return s.move(r, c)
	case trackio.ChangeRename:
		renamed := *r
		renamed.name = c.Name
		return s.put(r.ref, &renamed), nil
	case trackio.ChangeDelete:
		s.remove(r.ref)
		return nil, nil
	}
	return nil, trackio.Errorf(trackio.ErrInvalid, "there is no change of the kind %d", c.Kind)
}

func (s *Store) move(r *run, c trackio.Change) (*run, error) {
	if r.undelivered && !c.Force {
		return nil, trackio.Errorf(trackio.ErrConflict, "run %q of project %q has rows that are not delivered to their Space yet", r.ref.ID, r.ref.Project).
			WithHint("deliver them first, or force the move")
	}
	target := trackio.RunRef{Project: c.To, ID: r.ref.ID}
	if _, ok := s.projects[target.Project][target.ID]; ok {
		return nil, trackio.Errorf(trackio.ErrExists, "project %q has a run %q already", target.Project, target.ID).
			WithHint("delete or move that run first")
	}
	moved := s.put(target, r)
	s.remove(r.ref)
	return moved, nil
}
