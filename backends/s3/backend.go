// Package s3 keeps runs in a bucket, with nothing beside it: no database, no
// server, any number of machines at once. It works on S3 and on every store that
// gocloud.dev reaches.
//
// # Configuration
//
// See [Config]: the bucket, and what an S3-compatible server needs beside it.
//
// # Layout
//
// docs/object-store-layout.md describes every object. In short: what a run
// holds is written once, under data/, and never changed; where a run is, and
// what it is called, is a log of commits, each an object that is created only if
// there is none of its number. A move or a rename is one commit and touches no
// data, however large the run.
//
// # Guarantees
//
//   - Every promise of [trackio.Backend] and of the capabilities [trackio.Mover],
//     [trackio.Renamer], [trackio.BulkChanger], [trackio.AlertLister],
//     [trackio.Summarizer], [trackio.ProjectDeleter] and [trackio.Collector], for
//     any number of processes and machines at once. A bucket on the local disk (file://) or in
//     memory (mem://) is for one process at a time.
//   - Nothing rests on listings, on clocks, or on anything but the creation of
//     an object that is not there. A store that cannot do that is read, but never
//     written to.
//   - Reading needs no right to write.
//   - A project is forgotten with its last run.
package s3

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// liveWindow: a run with a row as young as this counts as still written to.
const liveWindow = time.Minute

// closeTime is how long closing waits for a checkpoint that is being written.
const closeTime = 20 * time.Second

// Backend is an opened object store.
type Backend struct {
	bucket *bucket.Bucket
	ledger *ledger.Ledger
	now    func() time.Time

	writable func(context.Context) error // what the first change finds out about the store

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
	done   context.Context // ends with errClosed when the backend is closed
	stop   context.CancelCauseFunc
}

var (
	_ trackio.Backend        = (*Backend)(nil)
	_ trackio.Mover          = (*Backend)(nil)
	_ trackio.Renamer        = (*Backend)(nil)
	_ trackio.BulkChanger    = (*Backend)(nil)
	_ trackio.AlertLister    = (*Backend)(nil)
	_ trackio.Summarizer     = (*Backend)(nil)
	_ trackio.ProjectDeleter = (*Backend)(nil)
	_ trackio.Collector      = (*Backend)(nil)
)

var errClosed = trackio.Errorf(trackio.ErrUnavailable, "the backend is closed")

// Open opens a bucket. It changes nothing: a bucket in which nothing was written
// yet is one without projects.
func Open(ctx context.Context, config Config) (*Backend, error) {
	objects, err := config.open(ctx)
	if err != nil {
		return nil, err
	}
	done, stop := context.WithCancelCause(context.Background())
	b := &Backend{bucket: objects, ledger: ledger.Open(objects, "trackio"), now: time.Now, done: done, stop: stop}
	b.writable = once(b.probe)
	return b, nil
}

// once returns a function that calls f until it succeeds, one call at a time.
func once(f func(context.Context) error) func(context.Context) error {
	var mu sync.Mutex
	done := false
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return nil
		}
		err := f(ctx)
		done = err == nil
		return err
	}
}

// probe sees, before the first change, that the store is ours and that it
// refuses to create an object that is there: everything rests on that.
func (b *Backend) probe(ctx context.Context) error {
	store, err := b.ledger.Init(ctx)
	if err != nil {
		return err
	}
	return b.bucket.Conditional(ctx, ledger.StoreKey, store.Body, typeJSON)
}

// Close ends the calls under way with an error, waits for them, and refuses
// later ones.
func (b *Backend) Close() error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	b.stop(errClosed)
	b.calls.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return errors.Join(b.ledger.Close(ctx), b.bucket.Close())
}

// enter begins a call: the context it returns ends with the caller's and with
// the backend. The call ends with leave.
func (b *Backend) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, errClosed
	}
	b.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(b.done, func() { cancel(errClosed) })
	return ctx, func() { unhook(); cancel(nil); b.calls.Done() }, nil
}

// cause returns why a call ended: the reason of its context, if that has ended,
// else the error itself. That nobody knows what became of a commit counts more
// than who gave up.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, ErrOutcomeUnknown) {
		return context.Cause(ctx)
	}
	return err
}

// ErrOutcomeUnknown is in the tree of the error of a change after which nobody
// can say yet whether it has happened.
var ErrOutcomeUnknown = ledger.ErrOutcomeUnknown
