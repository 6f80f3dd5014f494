package ledger

import (
	"maps"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// State is the state of the store after a commit. It never changes: changes of
// the store make other states.
//
// Runs are read from the parts of a checkpoint and from what later commits say.
// When another process has removed such a part, because there is a newer
// checkpoint, the call at hand answers from a newer state: each call is
// consistent in itself, and never older than the state.
type State struct {
	ledger *Ledger
	seq    int64
	base   *checkpoint
	tail   []*entry // the commits base.seq+1 to seq
	// projects has those with runs, and no others.
	projects map[string]*view
	// strict states are those that changes see: nothing in them may be newer
	// than seq, and pending actions may follow it.
	strict bool
}

// view is a project: a part, and what has changed since.
type view struct {
	part    *part // nil if nothing of it holds any more
	count   int64
	changed map[string]change
}

// change is what became of a run since the part was written.
type change struct {
	run *Run // nil: it is gone
	// inPart says whether the commits imply that the part has the run. It is
	// compared with the part when that is read.
	inPart bool
}

// newState returns the state that a checkpoint holds.
func newState(l *Ledger, base *checkpoint) *State {
	s := &State{ledger: l, seq: base.seq, base: base, projects: make(map[string]*view, len(base.projects))}
	for name, p := range base.projects {
		s.projects[name] = &view{part: p, count: p.Runs}
	}
	return s
}

// Seq returns the number of the commit; 0 for an empty store.
func (s *State) Seq() int64 { return s.seq }

// Projects returns the names of the projects in byte order.
func (s *State) Projects() []string { return slices.Sorted(maps.Keys(s.projects)) }

// Count returns how many runs a project has; 0 for an unknown one.
func (s *State) Count(project string) int64 {
	if v := s.projects[project]; v != nil {
		return v.count
	}
	return 0
}

// after returns the state after further commits, which must follow this one. An
// entry that does not apply is [trackio.ErrDataLoss].
func (s *State) after(entries ...*entry) (*State, error) {
	d := s.draft()
	for _, e := range entries {
		for _, a := range e.Actions {
			if err := d.apply(&a); err != nil {
				return nil, damaged(logKey(e.seq), "%v", err)
			}
		}
		d.seq = e.seq
	}
	d.tail = append(slices.Clip(s.tail), entries...)
	return &d.State, nil
}

// at returns an earlier state, not before that of the checkpoint.
func (s *State) at(seq int64) (*State, error) {
	return newState(s.ledger, s.base).after(s.tail[:seq-s.base.seq]...)
}

// on returns the same state over a checkpoint that lies within its tail.
func (s *State) on(base *checkpoint) (*State, error) {
	return newState(s.ledger, base).after(s.tail[base.seq-s.base.seq:]...)
}

// draft is a state that is still being made.
type draft struct {
	State
	own map[string]bool // the views that are this draft's
}

func (s *State) draft() *draft {
	d := &draft{State: *s, own: map[string]bool{}}
	d.projects = maps.Clone(s.projects)
	return d
}

// view returns the view of a project for changing, or nil if there is none.
func (d *draft) view(project string) *view {
	v := d.projects[project]
	if v == nil || d.own[project] {
		return v
	}
	v = &view{part: v.part, count: v.count, changed: maps.Clone(v.changed)}
	d.projects[project] = v
	d.own[project] = true
	return v
}

// apply lets the state follow an action. What the part of a project would have to
// say about it is checked later, when somebody reads the part.
func (d *draft) apply(a *Action) error {
	switch a.Action {
	case actionAdd:
		return d.put(a.Project, a.Run)
	case actionRemove:
		if !a.All {
			return d.remove(a.Project, a.ID)
		}
		if d.projects[a.Project] == nil {
			return noProject(a.Project)
		}
		delete(d.projects, a.Project)
	case actionMove:
		if err := d.remove(a.Project, a.ID); err != nil {
			return err
		}
		return d.put(a.To, a.Run)
	case actionRename:
		v, inPart, err := d.existing(a.Project, a.ID)
		if err != nil {
			return err
		}
		v.set(a.ID, change{run: a.Run, inPart: inPart})
	}
	return nil
}

// existing returns the view of a project for changing a run of it that is there,
// and whether the part has that run.
func (d *draft) existing(project, id string) (*view, bool, error) {
	v := d.view(project)
	if v == nil {
		return nil, false, noProject(project)
	}
	c, ok := v.changed[id]
	if ok && c.run == nil || !ok && v.part == nil {
		return nil, false, noRun(project, id)
	}
	return v, !ok || c.inPart, nil
}

func (d *draft) put(project string, run *Run) error {
	v := d.view(project)
	if v == nil {
		v = &view{}
		d.projects[project] = v
		d.own[project] = true
	}
	c := v.changed[run.ID]
	if c.run != nil {
		return trackio.Errorf(trackio.ErrExists, "run %q is already in project %q", run.ID, project)
	}
	v.count++
	v.set(run.ID, change{run: run, inPart: c.inPart})
	return nil
}

func (d *draft) remove(project, id string) error {
	v, inPart, err := d.existing(project, id)
	if err != nil {
		return err
	}
	v.set(id, change{inPart: inPart})
	if v.count--; v.count == 0 {
		if live := v.live(); len(live) != 0 {
			return trackio.Errorf(trackio.ErrConflict, "project %q has run %q, and none", project, live[0].ID)
		}
		delete(d.projects, project)
	}
	return nil
}

func (v *view) set(id string, c change) {
	if v.changed == nil {
		v.changed = map[string]change{}
	}
	v.changed[id] = c
}

// live yields the runs that the part does not have as they are now, in listing
// order.
func (v *view) live() []*Run {
	var runs []*Run
	for _, c := range v.changed {
		if c.run != nil {
			runs = append(runs, c.run)
		}
	}
	slices.SortFunc(runs, func(a, b *Run) int { return a.place.compare(b.place) })
	return runs
}

func noProject(project string) *trackio.Error {
	return trackio.Errorf(trackio.ErrNotFound, "no project %q", project)
}

func noRun(project, id string) *trackio.Error {
	return trackio.Errorf(trackio.ErrNotFound, "no run with the id %q in project %q", id, project)
}
