package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Import is a data directory that is being written. As long as it is open, its
// ledger sees every commit, so that a fence around it cannot be missed.
type Import struct {
	ledger *Ledger
	data   string
	fate   fate // guarded by the ledger's mu
}

// fate is what the log says about the data of an import.
type fate int

const (
	undecided fate = iota
	sent           // a commit that adds it was sent, and its end is not known
	added
	fenced
)

// Begin opens an import under a new data id. Objects of it may be written from
// here on, and not before. End it in every case.
//
// A data directory that was not added may be deleted by its importer, unless the
// error of the commit was [ErrOutcomeUnknown]: then it must stay, and if it was
// not added in the end, a collection finds it.
func (l *Ledger) Begin(ctx context.Context) (*Import, error) {
	if _, err := l.Init(ctx); err != nil {
		return nil, err
	}
	// Any fence around the id comes after the state that is known then.
	if _, err := l.Load(ctx); err != nil {
		return nil, err
	}
	i := &Import{ledger: l, data: time.Now().UTC().Format("20060102T150405Z") + "-" + random(12)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.imports[i.data] = i
	return i, nil
}

// Data returns the data id: the objects go under [DataPrefix] + id + "/".
func (i *Import) Data() string { return i.data }

// Err returns nil as long as the data may still be added, as far as the ledger
// has seen: an import that takes long may ask now and then, after a Load. Commit
// asks for certain.
func (i *Import) Err() error {
	i.ledger.mu.Lock()
	defer i.ledger.mu.Unlock()
	switch i.fate {
	case fenced:
		return trackio.Errorf(trackio.ErrConflict, "the import into %s took longer than the grace period of a collection", i.data).
			WithHint("import again; give the collection a longer grace period")
	case added:
		return trackio.Errorf(trackio.ErrConflict, "the import into %s is already part of the store", i.data)
	case sent:
		return trackio.Errorf(trackio.ErrConflict, "the import into %s may be part of the store already", i.data).
			WithHint("look whether the run is there before importing it again")
	case undecided:
	}
	return nil
}

// End closes the import; its data can no longer be added. Ending again does
// nothing.
func (i *Import) End() {
	i.ledger.mu.Lock()
	defer i.ledger.mu.Unlock()
	delete(i.ledger.imports, i.data)
}

func (l *Ledger) importing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.imports) > 0
}

// addable reports why the data of a run cannot be added.
func (l *Ledger) addable(data string) error {
	l.mu.Lock()
	i := l.imports[data]
	l.mu.Unlock()
	if i == nil {
		return trackio.Errorf(trackio.ErrInvalid, "data %s belongs to no open import", data)
	}
	return i.Err()
}

// watch tells the imports what a commit says about them. mu is held.
func (l *Ledger) watch(e *entry) {
	if len(l.imports) == 0 {
		return
	}
	for _, a := range e.Actions {
		switch a.Action {
		case actionAdd:
			if i := l.imports[a.Run.Data]; i != nil {
				i.fate = added
			}
		case actionFence:
			for _, data := range a.Data {
				if i := l.imports[data]; i != nil && i.fate != added {
					i.fate = fenced
				}
			}
		}
	}
}

// decide sets the fate of the data that actions add, from one to another. mu is
// held.
func (l *Ledger) decide(actions []Action, from, to fate) {
	for _, a := range actions {
		if a.Action != actionAdd {
			continue
		}
		if i := l.imports[a.Run.Data]; i != nil && i.fate == from {
			i.fate = to
		}
	}
}

// fenceAtOnce bounds the data ids of one commit.
const fenceAtOnce = 10_000

// Fence keeps data directories out for ever, and returns those that it did: their
// objects may be deleted. Those that the state has by then are left out. After an
// error the ones returned are fenced all the same.
func (l *Ledger) Fence(ctx context.Context, data []string) ([]string, error) {
	var all []string
	for chunk := range slices.Chunk(data, fenceAtOnce) {
		var kept []string
		_, err := l.Commit(ctx, func(ctx context.Context, s *State) ([]Action, error) {
			known := make(map[string]bool, len(chunk))
			for _, id := range chunk {
				known[id] = false
			}
			for id, err := range s.Data(ctx) {
				if err != nil {
					return nil, err
				}
				if _, asked := known[id]; asked {
					known[id] = true
				}
			}
			kept = nil
			for _, id := range chunk {
				if !known[id] {
					kept = append(kept, id)
				}
			}
			if len(kept) == 0 {
				return nil, nil
			}
			return []Action{{Action: actionFence, Data: kept}}, nil
		})
		if err != nil {
			return all, err
		}
		all = append(all, kept...)
	}
	return all, nil
}
