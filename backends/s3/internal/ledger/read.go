package ledger

import (
	"context"
	"errors"
	"iter"

	"github.com/trackio-go/trackio/trackio"
)

// maxRecoveries bounds how often a call begins anew because the checkpoint that
// it read from was replaced.
const maxRecoveries = 4

// Runs yields the runs of a project in listing order: by the instant of
// CreatedAt, none first, then by id. An unknown project is [trackio.ErrNotFound].
// It reads one object at most and decodes records as they are asked for.
func (s *State) Runs(ctx context.Context, project string) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		for try := 0; ; try++ {
			begun := false
			again := false
			for run, err := range s.merged(ctx, project) {
				if err != nil && !begun && try < maxRecoveries {
					next, failed := s.instead(ctx, err)
					if failed == nil {
						s, again = next, true
						break
					}
					err = failed
				}
				begun = true
				if !yield(run, err) || err != nil {
					return
				}
			}
			if !again {
				return
			}
		}
	}
}

// Find returns those of the runs that are there, by id. A project that is not
// there has none.
func (s *State) Find(ctx context.Context, project string, ids ...string) (map[string]*Run, error) {
	for try := 0; ; try++ {
		found, err := s.find(ctx, project, ids)
		if err == nil || try == maxRecoveries {
			return found, err
		}
		if s, err = s.instead(ctx, err); err != nil {
			return nil, err
		}
	}
}

// Data yields the data ids of all runs of all projects, in no order, some of them
// more than once. Ids of runs that are gone may be among them when other
// processes change the store meanwhile; an id that the state has is never left
// out.
func (s *State) Data(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for try := 0; ; try++ {
			err := s.data(ctx, yield)
			if err == nil {
				return
			}
			if try < maxRecoveries {
				s, err = s.instead(ctx, err)
			}
			if err != nil {
				yield("", err)
				return
			}
			// What was yielded holds for the old state,
			// and all of the new one follows.
		}
	}
}

// data yields until the caller has enough, or there is an error.
func (s *State) data(ctx context.Context, yield func(string, error) bool) error {
	for project := range s.projects {
		for run, err := range s.merged(ctx, project) {
			if err != nil {
				return err
			}
			if !yield(run.Data, nil) {
				return nil
			}
		}
	}
	return nil
}

// instead returns the state to read from when err is that a part is gone; for any
// other error it returns that.
func (s *State) instead(ctx context.Context, err error) (*State, error) {
	var gone *goneError
	if !errors.As(err, &gone) || s.strict {
		return nil, err
	}
	return s.ledger.recover(ctx, gone)
}

// merged yields the runs of a project: those of its part that still hold, and
// those of later commits.
func (s *State) merged(ctx context.Context, project string) iter.Seq2[*Run, error] {
	return func(yield func(*Run, error) bool) {
		v := s.projects[project]
		if v == nil {
			yield(nil, noProject(project))
			return
		}
		live := v.live()
		if v.part != nil {
			body, err := s.ledger.body(ctx, s.base.seq, v.part)
			if err != nil {
				yield(nil, err)
				return
			}
			met := 0
			for run, err := range v.part.runs(body) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if c, ok := v.changed[run.ID]; ok {
					if !c.inPart {
						yield(nil, v.contradiction(run.ID, true))
						return
					}
					met++
					continue
				}
				for len(live) > 0 && live[0].place.compare(run.place) < 0 {
					if !yield(live[0], nil) {
						return
					}
					live = live[1:]
				}
				if !yield(run, nil) {
					return
				}
			}
			for id, c := range v.changed {
				if c.inPart {
					if met--; met < 0 {
						yield(nil, v.contradiction(id, false))
						return
					}
				}
			}
		}
		for _, run := range live {
			if !yield(run, nil) {
				return
			}
		}
	}
}

// contradiction says that the log and the part of a project do not agree.
func (v *view) contradiction(id string, has bool) error {
	if has {
		return damaged(v.part.Key, "it has run %q, which the log adds later", id)
	}
	return damaged(v.part.Key, "it lacks a run such as %q, which the log changes later", id)
}

func (s *State) find(ctx context.Context, project string, ids []string) (map[string]*Run, error) {
	found := make(map[string]*Run, len(ids))
	v := s.projects[project]
	if v == nil {
		return found, nil
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		if c, ok := v.changed[id]; !ok {
			wanted[id] = true
		} else if c.run != nil {
			found[id] = c.run
		}
	}
	if len(wanted) == 0 || v.part == nil {
		return found, nil
	}
	body, err := s.ledger.body(ctx, s.base.seq, v.part)
	if err != nil {
		return nil, err
	}
	old, err := v.part.find(body, wanted)
	for id, run := range old {
		found[id] = run
	}
	return found, err
}

// settle looks up what the parts say about the runs that actions touch, so that
// applying them tells for certain whether they apply.
func (d *draft) settle(ctx context.Context, actions []Action) error {
	touched := map[string]map[string]bool{}
	touch := func(project, id string) {
		v := d.projects[project]
		if v == nil || v.part == nil {
			return
		}
		if _, known := v.changed[id]; known {
			return
		}
		if touched[project] == nil {
			touched[project] = map[string]bool{}
		}
		touched[project][id] = true
	}
	for _, a := range actions {
		switch a.Action {
		case actionAdd:
			touch(a.Project, a.Run.ID)
		case actionMove:
			touch(a.Project, a.ID)
			touch(a.To, a.ID)
		case actionRename, actionRemove:
			touch(a.Project, a.ID)
		}
	}
	for project, ids := range touched {
		v := d.view(project)
		body, err := d.ledger.body(ctx, d.base.seq, v.part)
		if err != nil {
			return err
		}
		found, err := v.part.find(body, ids)
		if err != nil {
			return err
		}
		for id := range ids {
			v.set(id, change{run: found[id], inPart: found[id] != nil})
		}
	}
	return nil
}

// perform applies an action that was settled, of a change that wants it.
func (d *draft) perform(a *Action) error {
	if a.Action == actionMove || a.Action == actionRename {
		v, _, err := d.existing(a.Project, a.ID)
		if err != nil {
			return err
		}
		if was := v.changed[a.ID].run; was.Data != a.Run.Data {
			return trackio.Errorf(trackio.ErrInvalid, "%s of run %q changes its data from %s to %s", a.Action, a.ID, was.Data, a.Run.Data)
		}
	}
	return d.apply(a)
}
