package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// ErrOutcomeUnknown is in the tree of an error after which nobody can say yet
// whether a commit is in the log.
var ErrOutcomeUnknown = bucket.ErrOutcomeUnknown

const (
	// patience bounds how long a commit that was sent is looked for.
	patience = 30 * time.Second
	// attemptTime bounds one request that sends it, so that a connection that
	// swallows it leaves time for another.
	attemptTime = 20 * time.Second
	// refusals bounds how often a commit that certainly was not written is sent
	// again.
	refusals = 4
)

// put writes a commit into the log under its number, and returns nil when it is
// there. When the number is another's, that is returned. When the store does not
// tell within [patience], the error is [ErrOutcomeUnknown]; after any other error
// the commit is not in the log and never will be.
//
// A reply of the store proves nothing but success: "exists" may be about our own
// object, written by a request whose answer was lost. So the object is looked at.
// When it is not there, the same body is sent again: whichever of these requests
// arrives, it makes the same commit.
func (l *Ledger) put(ctx context.Context, e *entry) (other *entry, err error) {
	body, err := e.encode()
	if err != nil {
		return nil, trackio.Errorf(trackio.ErrInvalid, "the commit cannot be written: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key := logKey(e.seq)
	underway := false // a request was sent that may still have an effect
	for try := 1; ; try++ {
		attempt, stop := context.WithTimeout(ctx, attemptTime)
		err := l.objects.Create(attempt, key, body, jsonType)
		stop()
		if err == nil {
			return nil, nil
		}
		underway = underway || inDoubt(err)
		for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
			there, look := l.entry(ctx, e.seq)
			switch {
			case look == nil && there.ID == e.ID:
				return nil, nil
			case look == nil:
				return there, nil
			case errors.Is(look, trackio.ErrDataLoss) && !underway:
				// Somebody's commit is there; ours would be readable.
				return nil, look
			case errors.Is(look, trackio.ErrDataLoss):
				// Or something on the way has answered in the store's place.
				return nil, unknown(key, err, look)
			}
			if errors.Is(look, trackio.ErrNotFound) {
				break
			}
			if !underway {
				return nil, err // it was refused, and nothing else was sent
			}
			if ctx.Err() != nil {
				return nil, unknown(key, err, look)
			}
			sleep(ctx, pause)
		}
		if !underway && (!errors.Is(err, trackio.ErrUnavailable) || try == refusals) {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, unknown(key, err, nil)
		}
		sleep(ctx, min(50*time.Millisecond<<min(try-1, 5), 2*time.Second))
	}
}

// inDoubt reports whether the object may have been written, or may be yet, in
// spite of the error.
func inDoubt(err error) bool {
	if errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, trackio.ErrExists) {
		return true
	}
	kind := trackio.KindOf(err)
	return kind == nil // a store that cannot say what happened
}

func unknown(key string, err, look error) error {
	return &trackio.Error{
		Kind:    trackio.ErrUnavailable,
		Message: "the store did not tell in time whether it has taken " + key + ": the outcome is not known",
		Hint:    "look whether the change has happened before repeating it",
		Err:     errors.Join(ErrOutcomeUnknown, err, look),
	}
}
