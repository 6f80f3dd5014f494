package ledger

import (
	"errors"

	"github.com/trackio-go/trackio/trackio"
)

// envelope is the size of a commit without its actions, generously.
const envelope = 4 << 10

// batch gathers the changes that share a commit.
type batch struct {
	ledger  *Ledger
	state   *State // the newest commit's
	draft   *draft // with the actions
	actions []Action
	size    int
	data    map[string]bool // added or fenced by the actions
	// members are the requests whose outcome is that of the commit.
	members []*request
	// refused are the requests that failed in a state that only holds if the
	// commit does.
	refused map[*request]error
}

// collect calls the changes of requests, one after the other, each seeing what
// those before it did. An error says that the state itself cannot be read.
func (b *batch) collect(requests []*request) error {
	for _, r := range requests {
		if !b.ledger.begin(r) {
			continue
		}
		actions, full, err := b.ask(r)
		var gone *goneError
		switch {
		case errors.As(err, &gone):
			return gone
		case full:
			return nil // this one and those behind it go into the next commit
		case r.ctx.Err() != nil:
			b.ledger.end(r, 0, r.ctx.Err())
		case err != nil && len(b.actions) == 0:
			b.ledger.end(r, 0, err)
		case err != nil:
			if b.refused == nil {
				b.refused = map[*request]error{}
			}
			b.refused[r] = err
		case len(actions) == 0 && len(b.actions) == 0:
			b.ledger.end(r, b.state.seq, nil)
		default:
			b.actions = append(b.actions, actions...)
			b.members = append(b.members, r)
		}
	}
	return nil
}

// ask calls the change of a request and lets the draft follow it. full says that
// the actions have no room in this commit and would have in another.
func (b *batch) ask(r *request) (actions []Action, full bool, err error) {
	seen := b.draft.State
	seen.strict = true
	wanted, err := []Action(nil), r.ctx.Err()
	if err == nil {
		wanted, err = r.change(r.ctx, &seen)
	}
	b.ledger.pause(r)
	if err != nil || len(wanted) == 0 {
		return nil, false, err
	}
	size := 0
	for _, a := range wanted {
		if err := a.check(); err != nil {
			return nil, false, err
		}
		room, err := a.Size()
		if err != nil {
			return nil, false, err
		}
		size += room
		actions = append(actions, a.numbered(b.state.seq+1))
	}
	if size > MaxActions {
		return nil, false, trackio.Errorf(trackio.ErrInvalid, "a change of %d bytes does not fit into a commit of %d", size, MaxCommit).
			WithHint("change fewer runs at a time")
	}
	if b.size+size > MaxCommit {
		return nil, true, nil
	}
	next := b.draft.draft()
	if err := next.settle(r.ctx, actions); err != nil {
		return nil, false, err
	}
	if err := b.guard(actions); err != nil {
		return nil, false, err
	}
	for _, a := range actions {
		if err := next.perform(&a); err != nil {
			return nil, false, err
		}
	}
	for _, a := range actions {
		for _, id := range a.decides() {
			b.data[id] = true
		}
	}
	b.draft, b.size = next, b.size+size
	return actions, false, nil
}

// decides returns the data ids whose fate an action decides.
func (a *Action) decides() []string {
	if a.Action == actionAdd {
		return []string{a.Run.Data}
	}
	return a.Data
}

// guard sees to it that data is added once at most, and never after a fence.
func (b *batch) guard(actions []Action) error {
	own := map[string]bool{}
	for _, a := range actions {
		for _, id := range a.decides() {
			if a.Action == actionAdd {
				if err := b.ledger.addable(id); err != nil {
					return err
				}
			}
			if own[id] || b.data[id] {
				return trackio.Errorf(trackio.ErrConflict, "data %s is added or fenced already", id).
					WithHint("import again")
			}
			own[id] = true
		}
	}
	return nil
}

// begin marks a request whose change is about to be called; false if it was
// withdrawn.
func (l *Ledger) begin(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.phase != waiting {
		return false
	}
	r.phase = running
	return true
}

// pause marks a request whose change has returned.
func (l *Ledger) pause(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.phase = waiting
}
