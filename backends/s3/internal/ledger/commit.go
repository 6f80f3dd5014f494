package ledger

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Change decides upon the actions of a commit. It sees the newest state, and in
// it the effects of the changes that will share the commit. It may be called
// several times, as long as other commits come first, and must then decide anew;
// it must neither keep the state nor call Commit. No actions and no error: there is nothing to do.
type Change func(ctx context.Context, s *State) ([]Action, error)

// request is a call of Commit. Its fields but ctx and change are guarded by the
// ledger's mu until done is closed.
type request struct {
	ctx    context.Context
	change Change
	phase  phase
	seq    int64
	err    error
	done   chan struct{}
}

type phase int

const (
	waiting phase = iota
	running       // its change is being called
	sealed        // its actions are in a commit that may have been sent
	ended
)

// Commit makes the actions that change returns one commit and returns its number;
// 0 actions make none, and the number is that of the state. It is all or nothing.
//
// nil means that the commit is in the log. [ErrOutcomeUnknown], whose kind is
// [trackio.ErrUnavailable], means that it may be there, or come to be there within
// a moment; after any other error it never will. Those are: the error of change;
// an action that does not apply ([trackio.ErrNotFound], [trackio.ErrExists]); data
// that cannot be added ([trackio.ErrConflict]); more than [MaxCommit] bytes
// ([trackio.ErrInvalid]); errors of the store. When ctx ends before the commit is
// sent, nothing has happened and the error is that of ctx; afterwards Commit waits
// for the outcome, half a minute at most.
//
// Calls that come while a commit is under way share the next one.
func (l *Ledger) Commit(ctx context.Context, change Change) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r := &request{ctx: ctx, change: change, done: make(chan struct{})}
	if !l.enqueue(r) {
		return 0, trackio.Errorf(trackio.ErrUnavailable, "the store was closed")
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if l.withdraw(r) {
			return 0, ctx.Err()
		}
		<-r.done
	}
	return r.seq, r.err
}

func (l *Ledger) enqueue(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.queue = append(l.queue, r)
	if !l.leading {
		l.leading = true
		l.work.Add(1)
		go l.lead()
	}
	return true
}

// withdraw takes a request out of the queue, unless its change is running or its
// actions may have been sent. When none is left, what is being read for them is
// given up.
func (l *Ledger) withdraw(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.phase != waiting {
		return false
	}
	l.remove(r)
	if len(l.queue) == 0 && l.stop != nil {
		l.stop()
	}
	return true
}

// remove ends a request. mu is held.
func (l *Ledger) remove(r *request) {
	r.phase = ended
	l.queue = slices.DeleteFunc(l.queue, func(q *request) bool { return q == r })
}

// end answers a request.
func (l *Ledger) end(r *request, seq int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.phase == ended {
		return
	}
	l.remove(r)
	r.seq, r.err = seq, err
	close(r.done)
}

// lead works on the queue until it is empty.
func (l *Ledger) lead() {
	defer l.work.Done()
	lost := 0
	for {
		l.mu.Lock()
		requests := slices.Clone(l.queue)
		if len(requests) == 0 {
			l.leading = false
			l.mu.Unlock()
			return
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(requests[0].ctx))
		l.stop = stop
		l.mu.Unlock()
		if lost > 0 {
			sleep(ctx, time.Duration(rand.Int64N(int64(20*time.Millisecond)<<min(lost, 6))))
		}
		if l.round(ctx, requests) {
			lost = 0
		} else {
			lost++
		}
		l.mu.Lock()
		l.stop = nil
		l.mu.Unlock()
		stop()
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// round makes one attempt at a commit for requests. It returns false when another
// process was first; who has no answer is still in the queue then.
func (l *Ledger) round(ctx context.Context, requests []*request) bool {
	if _, err := l.Init(ctx); err != nil {
		l.endAll(requests, err)
		return true
	}
	s, err := l.Load(ctx)
	if err != nil {
		l.endAll(requests, err)
		return true
	}
	b := &batch{ledger: l, state: s, draft: s.draft(), data: map[string]bool{}, size: envelope}
	if err := b.collect(requests); err != nil {
		var gone *goneError
		if errors.As(err, &gone) {
			_, err = l.recover(ctx, gone)
		}
		if err != nil {
			l.endAll(requests, err)
		}
		return true
	}
	if len(b.actions) == 0 || !l.seal(b) {
		return true
	}
	return l.send(b)
}

// endAll answers requests with an error: their own, when their context has ended.
func (l *Ledger) endAll(requests []*request, err error) {
	for _, r := range requests {
		if own := r.ctx.Err(); own != nil {
			l.end(r, 0, own)
		} else {
			l.end(r, 0, err)
		}
	}
}

// seal marks the requests of a batch as sent. It returns false, and does nothing,
// when one of them has been withdrawn: others may rest on it.
func (l *Ledger) seal(b *batch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range b.members {
		if r.phase != waiting || r.ctx.Err() != nil {
			return false
		}
	}
	for _, r := range b.members {
		r.phase = sealed
	}
	l.decide(b.actions, undecided, sent)
	return true
}

// unseal puts the requests of a batch that was not committed back.
func (l *Ledger) unseal(b *batch) {
	l.mu.Lock()
	for _, r := range b.members {
		r.phase = waiting
	}
	l.decide(b.actions, sent, undecided)
	l.mu.Unlock()
	for _, r := range b.members {
		if err := r.ctx.Err(); err != nil {
			l.end(r, 0, err)
		}
	}
}

// send puts a batch into the log and answers its requests.
func (l *Ledger) send(b *batch) bool {
	e := &entry{
		ID: random(16), At: time.Now().UTC().Format(time.RFC3339), By: l.by,
		Actions: b.actions, seq: b.state.seq + 1,
	}
	ctx := context.WithoutCancel(b.members[0].ctx)
	other, err := l.put(ctx, e)
	switch {
	case err == nil && other == nil:
		if s, err := b.state.after(e); err == nil {
			l.adopt(s)
			l.keepUp(ctx, s)
		}
		for _, r := range b.members {
			l.end(r, e.seq, nil)
		}
		for r, err := range b.refused {
			l.end(r, 0, err)
		}
		return true
	case err == nil:
		l.unseal(b)
		if s, err := b.state.after(other); err == nil {
			l.adopt(s)
		}
		return false
	case !errors.Is(err, ErrOutcomeUnknown):
		l.unseal(b)
	}
	for _, r := range b.members {
		l.end(r, 0, err)
	}
	return true // those who were refused because of the batch try again
}
