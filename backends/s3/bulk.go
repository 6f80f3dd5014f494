package s3

import (
	"context"
	"iter"
	"unicode/utf8"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// stepRuns is how many changes are looked at for one commit. Moves of runs with
// small configs fill one earlier.
const stepRuns = 4096

// ChangeRuns implements [trackio.BulkChanger]. It is one commit for as many runs
// as a commit has room for: about 1,000 moves of runs with 2 KiB of config, any
// number of media. The objects of deleted runs are removed after the commit.
func (b *Backend) ChangeRuns(ctx context.Context, changes []trackio.Change) iter.Seq2[trackio.ChangeResult, error] {
	return func(yield func(trackio.ChangeResult, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield(trackio.ChangeResult{}, err)
			return
		}
		defer leave()
		for left := changes; len(left) > 0; {
			outcomes, err := b.step(ctx, left)
			if err != nil {
				yield(trackio.ChangeResult{}, cause(ctx, err))
				return
			}
			left = left[len(outcomes):]
			for _, o := range outcomes {
				if !yield(o.result(), nil) {
					return
				}
			}
		}
	}
}

// outcome is what became of one change.
type outcome struct {
	run     *ledger.Run // as it is now; nil when it was deleted or not changed
	project string      // where it is now
	data    string      // what was deleted
	err     error       // why it was not changed
}

// result describes the run as far as that takes no request.
func (o *outcome) result() trackio.ChangeResult {
	result := trackio.ChangeResult{Err: o.err}
	if o.run != nil {
		result.Run = trackio.RunInfo{
			RunRef: trackio.RunRef{Project: o.project, ID: o.run.ID},
			Name:   o.run.Name, CreatedAt: o.run.Created(), Revision: o.run.Revision(),
		}
	}
	return result
}

// step makes those of the first changes that have room in one commit, and returns
// what became of each. After an error none of them has happened, or it says that
// it cannot know.
func (b *Backend) step(ctx context.Context, changes []trackio.Change) ([]outcome, error) {
	changes = changes[:min(len(changes), stepRuns)]
	state, err := b.ledger.Load(ctx)
	if err != nil {
		return nil, err
	}
	outcomes, actions, err := b.decide(ctx, state, changes)
	if err != nil || len(actions) == 0 { // before anything is written
		return outcomes, err
	}
	if err := b.writable(ctx); err != nil {
		return nil, err
	}
	seq, err := b.ledger.Commit(ctx, func(ctx context.Context, state *ledger.State) ([]ledger.Action, error) {
		var err error
		outcomes, actions, err = b.decide(ctx, state, changes)
		return actions, err
	})
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, o := range outcomes {
		if o.run != nil {
			o.run.Commit = seq
		}
		if o.data != "" {
			gone = append(gone, o.data)
		}
	}
	switch len(gone) {
	case 0:
	case 1:
		b.sweep(ctx, "the run is deleted", gone...)
	default:
		b.sweep(ctx, "the runs are deleted", gone...)
	}
	return outcomes, nil
}

// decide says what becomes of changes in a state, and which actions make it so.
// It stops at a change that rests on an earlier one of them, or finds no room.
func (b *Backend) decide(ctx context.Context, state *ledger.State, changes []trackio.Change) ([]outcome, []ledger.Action, error) {
	runs, err := b.runsOf(ctx, state, changes)
	if err != nil {
		return nil, nil, err
	}
	var outcomes []outcome
	var actions []ledger.Action
	touched := map[trackio.RunRef]bool{}
	size := 0
	for _, c := range changes {
		target := c.Run
		if c.Kind == trackio.ChangeMove {
			target.Project = c.To
		}
		if touched[c.Run] || touched[target] {
			break
		}
		o, action := b.judge(runs, c)
		if o.err == nil {
			room, err := roomOf(c, action)
			if err == nil && size+room > ledger.MaxActions {
				break
			}
			if err != nil {
				o = outcome{err: err}
			} else {
				actions = append(actions, action)
				size += room
				touched[c.Run], touched[target] = true, true
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, actions, nil
}

// roomOf returns how much room a change takes in a commit, an error when none has
// as much.
func roomOf(c trackio.Change, action ledger.Action) (int, error) {
	room, err := action.Size()
	if err == nil && room > ledger.MaxActions {
		err = trackio.Errorf(trackio.ErrInvalid, "the record of run %q would have %d bytes, and a commit holds %d", c.Run.ID, room, ledger.MaxActions).
			WithHint("choose a shorter name")
	}
	return room, err
}

// runsOf looks up the runs that changes are of, and those in their way.
func (b *Backend) runsOf(ctx context.Context, state *ledger.State, changes []trackio.Change) (map[trackio.RunRef]*ledger.Run, error) {
	ids := map[string][]string{}
	for _, c := range changes {
		ids[c.Run.Project] = append(ids[c.Run.Project], c.Run.ID)
		if c.Kind == trackio.ChangeMove {
			ids[c.To] = append(ids[c.To], c.Run.ID)
		}
	}
	runs := make(map[trackio.RunRef]*ledger.Run, len(changes))
	for project, ids := range ids {
		found, err := state.Find(ctx, project, ids...)
		if err != nil {
			return nil, err
		}
		for id, r := range found {
			runs[trackio.RunRef{Project: project, ID: id}] = r
		}
	}
	return runs, nil
}

// judge says what becomes of one change, and the action that makes it so.
func (b *Backend) judge(runs map[trackio.RunRef]*ledger.Run, c trackio.Change) (outcome, ledger.Action) {
	refused := func(err error) (outcome, ledger.Action) { return outcome{err: err}, ledger.Action{} }
	if err := checkChange(c); err != nil {
		return refused(err)
	}
	r := runs[c.Run]
	if r == nil {
		return refused(errUnknown(c.Run))
	}
	switch c.Kind {
	case trackio.ChangeMove:
		if err := b.guard(c.Run, r, "moved", c.IfRevision, c.Force); err != nil {
			return refused(err)
		}
		if r.Undelivered > 0 && !c.Force {
			return refused(trackio.Errorf(trackio.ErrConflict, "run %q has %d rows that Trackio has not delivered to its Space yet; it was not moved", c.Run.ID, r.Undelivered).
				WithHint("Trackio delivers them from its own directory alone; force it, and they wait in the new place"))
		}
		if target := (trackio.RunRef{Project: c.To, ID: c.Run.ID}); runs[target] != nil {
			return refused(trackio.Errorf(trackio.ErrExists, "project %q has a run %q already; it was not moved", target.Project, target.ID).
				WithHint("delete one of the two, or move to another project"))
		}
		moved := *r
		return outcome{run: &moved, project: c.To}, ledger.Move(c.Run.Project, c.To, &moved)
	case trackio.ChangeRename:
		if err := b.guard(c.Run, r, "renamed", c.IfRevision, c.Force); err != nil {
			return refused(err)
		}
		renamed := *r
		renamed.Name = c.Name
		return outcome{run: &renamed, project: c.Run.Project}, ledger.Rename(c.Run.Project, &renamed)
	default:
		if err := b.guard(c.Run, r, "deleted", c.IfRevision, c.Force); err != nil {
			return refused(err)
		}
		return outcome{data: r.Data}, ledger.Remove(c.Run.Project, c.Run.ID)
	}
}

// checkChange reports what is wrong with a change in itself.
func checkChange(c trackio.Change) error {
	switch c.Kind {
	case trackio.ChangeMove:
		switch {
		case c.To == c.Run.Project:
			return trackio.Errorf(trackio.ErrInvalid, "run %q is in project %q already", c.Run.ID, c.To).
				WithHint("name another project")
		case c.To == "", c.To != trackio.CanonicalProject(c.To):
			return trackio.Errorf(trackio.ErrInvalid, "%q is no name of a project", c.To)
		}
	case trackio.ChangeRename:
		if !utf8.ValidString(c.Name) {
			return trackio.Errorf(trackio.ErrInvalid, "%q cannot be the name of a run in a bucket: it is not UTF-8", c.Name)
		}
	case trackio.ChangeDelete:
	default:
		return trackio.Errorf(trackio.ErrInvalid, "there is no change of the kind %d", c.Kind)
	}
	return nil
}
