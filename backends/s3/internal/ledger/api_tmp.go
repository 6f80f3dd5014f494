package ledger

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrOutcomeUnknown marks the error of a commit that may have happened or may
// happen yet. Its kind is [trackio.ErrUnavailable].
var ErrOutcomeUnknown = errors.New("outcome unknown")

type Ledger struct{ objects Objects }

// Open returns the ledger of a store. It does no I/O. by names the program in
// the commits, for people.
func Open(objects Objects, by string) *Ledger { return &Ledger{objects: objects} }

// Store is the object that says what the store is.
type Store struct {
	ID   string
	Body []byte // what StoreKey holds
}

// Init makes the store if it is not there yet, and returns its store.json, so
// that the caller can probe whether creating it again is refused. Once it has
// succeeded it does no I/O.
func (l *Ledger) Init(ctx context.Context) (Store, error) { return Store{}, errors.ErrUnsupported }

// Load returns the state after the newest commit.
func (l *Ledger) Load(ctx context.Context) (*State, error) { return nil, errors.ErrUnsupported }

// Commit makes the actions that change returns one commit and returns its number.
func (l *Ledger) Commit(ctx context.Context, change func(ctx context.Context, s *State) ([]Action, error)) (int64, error) {
	return 0, errors.ErrUnsupported
}

// Begin registers an import.
func (l *Ledger) Begin(ctx context.Context) (*Import, error) { return nil, errors.ErrUnsupported }

// Fence keeps data directories out for ever, and returns those that it did.
func (l *Ledger) Fence(ctx context.Context, data []string) ([]string, error) {
	return nil, errors.ErrUnsupported
}

// Tidy removes checkpoints and parts that nothing needs.
func (l *Ledger) Tidy(ctx context.Context, grace time.Duration, dryRun bool) (Tidied, error) {
	return Tidied{}, errors.ErrUnsupported
}

// Close waits for commits and checkpoints under way.
func (l *Ledger) Close(ctx context.Context) error { return errors.ErrUnsupported }

// Tidied says what Tidy removed, or would remove.
type Tidied struct {
	Keys  []string
	Bytes int64
}

// State is the state after a commit. It never changes.
type State struct{ seq int64 }

func (s *State) Seq() int64         { return s.seq }
func (s *State) Projects() []string { return nil }

// Runs yields the runs of a project in listing order.
func (s *State) Runs(ctx context.Context, project string) iter.Seq2[*Run, error] { return nil }

// Find returns those of the runs that are there; an unknown project has none.
func (s *State) Find(ctx context.Context, project string, ids ...string) (map[string]*Run, error) {
	return nil, errors.ErrUnsupported
}

// Data yields the data ids of all runs, some more than once.
func (s *State) Data(ctx context.Context) iter.Seq2[string, error] { return nil }

// Import is a data directory that is being written.
type Import struct{ data string }

// Data returns the id: the objects go under DataPrefix + id + "/".
func (i *Import) Data() string { return i.data }

// Err returns nil, or ErrConflict as soon as this ledger has seen the fence.
func (i *Import) Err() error { return nil }

// End ends the watch; a commit can no longer add the data.
func (i *Import) End() {}
