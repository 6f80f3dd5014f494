package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

const (
	storeFormat  = "trackio-object-store"
	storeVersion = 1
)

// Ledger is the commit log of one store. It keeps the newest state that it has
// seen and the parts that were used last, so that looking again is cheap.
type Ledger struct {
	objects Objects
	by      string
	parts   cache

	mu      sync.Mutex
	store   *Store             // once it is known that it is there
	state   *State             // the newest that was seen; nil before the first
	imports map[string]*Import // the open ones, by data id
	broken  map[int64]bool     // checkpoints that lack a part
	looked  int64              // the checkpoint that was looked for last to stand on

	queue         []*request // the commits that wait, in order
	leading       bool       // a goroutine works on the queue
	stop          func()     // gives up what that goroutine reads; see withdraw
	checkpointing bool
	closed        bool
	work          sync.WaitGroup // the goroutines above
}

// Open returns the ledger of a store. It does no I/O. by names the program in
// the commits, for people.
func Open(objects Objects, by string) *Ledger {
	return &Ledger{objects: objects, by: by, imports: map[string]*Import{}, broken: map[int64]bool{}}
}

// Close waits for the commits and checkpoints under way, until ctx ends. Commits
// made afterwards fail with [trackio.ErrUnavailable]; reading goes on.
func (l *Ledger) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		l.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Store is the object that says what the store is.
type Store struct {
	ID   string
	Body []byte // what StoreKey holds
}

type storeBody struct {
	Format    string `json:"format"`
	Version   int    `json:"version"`
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
}

// Init makes the store if it is not there yet, and returns its store.json, so
// that the caller can probe whether creating that object again is refused, as it
// must be. Once it has succeeded it does no I/O. Commits and imports call it.
// Something else under that name, or a newer version, is
// [errors.ErrUnsupported].
func (l *Ledger) Init(ctx context.Context) (Store, error) {
	store, err := l.known(ctx)
	if err != nil || store != nil {
		return deref(store), err
	}
	body, err := encode(storeBody{storeFormat, storeVersion, random(16), time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return Store{}, err
	}
	failed := l.objects.Create(ctx, StoreKey, body, jsonType)
	if failed == nil {
		store, err := decodeStore(body)
		if err == nil {
			l.remember(store)
		}
		return deref(store), err
	}
	// Another may have made it, or this call in spite of the error.
	if store, err := l.known(ctx); err == nil && store != nil {
		return *store, nil
	} else if err != nil && errors.Is(failed, trackio.ErrExists) {
		return Store{}, err
	}
	if errors.Is(failed, ErrOutcomeUnknown) {
		// Nothing that the caller asked for can have happened.
		return Store{}, trackio.Errorf(trackio.ErrUnavailable, "%v", failed).WithHint("%s", trackio.HintOf(failed))
	}
	return Store{}, failed
}

// known returns the store, or nil if it is not there.
func (l *Ledger) known(ctx context.Context) (*Store, error) {
	l.mu.Lock()
	store := l.store
	l.mu.Unlock()
	if store != nil {
		return store, nil
	}
	body, err := l.objects.Get(ctx, StoreKey)
	if errors.Is(err, trackio.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if store, err = decodeStore(body); err == nil {
		l.remember(store)
	}
	return store, err
}

func (l *Ledger) remember(store *Store) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.store = store
}

func decodeStore(body []byte) (*Store, error) {
	var s storeBody
	if err := json.Unmarshal(body, &s); err != nil || s.Format != storeFormat {
		return nil, trackio.Errorf(errors.ErrUnsupported, "%s is not that of a store of runs", StoreKey).
			WithHint("choose another prefix; nothing here was changed")
	}
	if s.Version != storeVersion {
		return nil, trackio.Errorf(errors.ErrUnsupported, "%s says version %d of the format, where %d is known", StoreKey, s.Version, storeVersion).
			WithHint("use a newer trackio")
	}
	return &Store{ID: s.ID, Body: body}, nil
}

func deref(store *Store) Store {
	if store == nil {
		return Store{}
	}
	return *store
}

// current returns the newest state that was seen, or nil.
func (l *Ledger) current() *State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// adopt takes over a state if it is newer, or stands on a better checkpoint. It
// refuses, and returns false, a state that would hide commits from open imports.
func (l *Ledger) adopt(s *State) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.state
	if was != nil {
		if s.seq < was.seq || s.seq == was.seq && s.base.seq <= was.base.seq && !l.broken[was.base.seq] {
			return true
		}
		if len(l.imports) > 0 && s.base.seq > was.seq {
			return false
		}
		for _, e := range s.tail {
			if e.seq > was.seq {
				l.watch(e)
			}
		}
	}
	l.state = s
	return true
}
