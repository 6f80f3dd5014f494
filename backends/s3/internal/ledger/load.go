package ledger

import (
	"context"
	"errors"
	"sync"

	"github.com/trackio-go/trackio/trackio"
)

// The log is read in windows of parallel requests. A state that was just read
// lacks a commit or none; one that begins at a checkpoint lacks up to every-1,
// and some more while the next checkpoint is being written.
var (
	coldWindows = []int{4, 6, 6, 5, every}
	lostWindows = []int{4, 6, 6, 3, every} // after looking for the checkpoint in vain
	warmWindows = []int{1, 4, 6, every}
)

const (
	// farBehind is after how many commits a warm state would rather begin at a
	// checkpoint.
	farBehind = 11
	// longTail is how many commits a state keeps before it looks for a
	// checkpoint to stand on.
	longTail = 2 * every
)

// Load returns the state after the newest commit. A store that is empty or not
// there has an empty state. Something that is not a store, or is one of a newer
// version, is [errors.ErrUnsupported]; a log that cannot be read as a whole is
// [trackio.ErrDataLoss]. Load writes nothing.
//
// It costs one request when nothing has changed since the last time, and at most
// 24 to begin with, plus one when the first part is read.
func (l *Ledger) Load(ctx context.Context) (*State, error) {
	if s := l.current(); s != nil {
		return l.advance(ctx, s)
	}
	return l.cold(ctx)
}

// advance returns the newest state, coming from one that is known.
func (l *Ledger) advance(ctx context.Context, s *State) (*State, error) {
	s, end, err := l.follow(ctx, s, warmWindows, farBehind)
	if err != nil {
		return nil, err
	}
	if !end {
		if s, end, err = l.leap(ctx, s); err == nil && !end {
			s, _, err = l.follow(ctx, s, warmWindows[len(warmWindows)-1:], 0)
		}
		if err != nil {
			return nil, err
		}
	}
	l.adopt(s)
	return l.shorten(ctx, s), nil
}

// leap goes to the head by way of the newest checkpoint, if that spares reading
// many commits and no import has to see them all. It returns s otherwise.
func (l *Ledger) leap(ctx context.Context, s *State) (*State, bool, error) {
	if !l.adopt(s) || l.importing() {
		return s, false, nil
	}
	seq, err := l.hinted(ctx)
	if err != nil || seq <= s.seq {
		return s, false, err
	}
	cp, err := l.checkpoint(ctx, seq)
	if errors.Is(err, trackio.ErrNotFound) {
		return s, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	far, end, err := l.follow(ctx, newState(l, cp), coldWindows, 0)
	if err != nil {
		return nil, false, err
	}
	if !l.adopt(far) {
		return s, false, nil // an import has begun meanwhile
	}
	return far, end, nil
}

// shorten lets a state with a long tail stand on a newer checkpoint, so that what
// is kept in memory stays bounded. It looks for each checkpoint once.
func (l *Ledger) shorten(ctx context.Context, s *State) *State {
	due := floor(s.seq - overdue)
	l.mu.Lock()
	look := len(s.tail) >= longTail && due > s.base.seq && due > l.looked
	if look {
		l.looked = due
	}
	l.mu.Unlock()
	if !look {
		return s
	}
	cp, err := l.checkpoint(ctx, due)
	if err != nil {
		return s // it is no worse than before
	}
	shorter, err := s.on(cp)
	if err != nil {
		return s
	}
	l.adopt(shorter)
	return shorter
}

// cold returns the newest state, coming from nothing.
func (l *Ledger) cold(ctx context.Context) (*State, error) {
	var (
		wg      sync.WaitGroup
		seq     int64
		hintErr error
	)
	wg.Go(func() { seq, hintErr = l.hinted(ctx) })
	store, err := l.known(ctx)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	if store == nil {
		return newState(l, &checkpoint{}), nil
	}
	if hintErr != nil {
		return nil, hintErr
	}
	cp := &checkpoint{}
	found := false
	if seq > 0 && !l.isBroken(seq) {
		there, err := l.checkpoint(ctx, seq)
		if err != nil && !errors.Is(err, trackio.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			cp, found = there, true
		}
	}
	windows := coldWindows
	if !found {
		windows = lostWindows
		if cp, err = l.newest(ctx); err != nil {
			return nil, err
		}
	}
	s, _, err := l.follow(ctx, newState(l, cp), windows, 0)
	if err != nil {
		return nil, err
	}
	if !l.adopt(s) {
		return l.advance(ctx, l.current())
	}
	return s, nil
}

// newest looks for the newest checkpoint that is not known to be broken. With
// none there, it is the one before the first commit.
func (l *Ledger) newest(ctx context.Context) (*checkpoint, error) {
	seqs, err := l.listed(ctx)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		if l.isBroken(seq) {
			continue
		}
		cp, err := l.checkpoint(ctx, seq)
		if errors.Is(err, trackio.ErrNotFound) {
			continue
		}
		return cp, err
	}
	return &checkpoint{}, nil
}

// recover returns a state that does not stand on the checkpoint whose part is
// gone, and is not older than what was known.
func (l *Ledger) recover(ctx context.Context, gone *goneError) (*State, error) {
	l.mu.Lock()
	l.broken[gone.base] = true
	s := l.state
	l.mu.Unlock()
	if s == nil {
		return l.cold(ctx)
	}
	if !l.isBroken(s.base.seq) {
		return s, nil // another goroutine was faster
	}
	cp, err := l.newest(ctx) // before the log, so that the log reaches beyond it
	if err != nil {
		return nil, err
	}
	if s, _, err = l.follow(ctx, s, coldWindows, 0); err != nil {
		return nil, err
	}
	l.adopt(s)
	switch {
	case cp.seq > s.seq:
		return nil, damaged(logKey(cp.seq), "it is not there, and a checkpoint of it is")
	case cp.seq >= s.base.seq:
		s, err = s.on(cp)
	default:
		s, _, err = l.follow(ctx, newState(l, cp), coldWindows, 0)
	}
	if err != nil {
		return nil, err
	}
	l.adopt(s)
	return s, nil
}

func (l *Ledger) isBroken(seq int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken[seq]
}

// follow reads the commits after a state, up to the first that is not there (then
// end is true), or until it has read at least limit of them, if that is not 0.
// The last window is used again and again.
func (l *Ledger) follow(ctx context.Context, s *State, windows []int, limit int) (_ *State, end bool, err error) {
	var entries []*entry
	for i := 0; !end && (limit == 0 || len(entries) < limit); i++ {
		width := windows[min(i, len(windows)-1)]
		var more []*entry
		more, end, err = l.window(ctx, s.seq+int64(len(entries))+1, width)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, more...)
	}
	if len(entries) == 0 {
		return s, end, nil
	}
	s, err = s.after(entries...)
	return s, end, err
}

// window reads the commits from first on, width of them at once, up to the first
// that is not there; end says that there is one such.
func (l *Ledger) window(ctx context.Context, first int64, width int) (entries []*entry, end bool, err error) {
	var wg sync.WaitGroup
	found := make([]*entry, width)
	errs := make([]error, width)
	for i := range width {
		wg.Go(func() { found[i], errs[i] = l.entry(ctx, first+int64(i)) })
	}
	wg.Wait()
	for i := range width {
		if errors.Is(errs[i], trackio.ErrNotFound) {
			later := false
			for _, err := range errs[i+1:] {
				later = later || err == nil
			}
			if !later {
				return found[:i], true, nil
			}
			// A later one is there. It was made while these requests were under
			// way, or the log has a hole: then this one is still not there.
			found[i], errs[i] = l.entry(ctx, first+int64(i))
			if errors.Is(errs[i], trackio.ErrNotFound) {
				return nil, false, damaged(logKey(first+int64(i)), "it is not there, and later commits are")
			}
		}
		if errs[i] != nil {
			return nil, false, errs[i]
		}
	}
	return found, false, nil
}

// entry reads commit seq; [trackio.ErrNotFound] if there is none.
func (l *Ledger) entry(ctx context.Context, seq int64) (*entry, error) {
	body, err := l.objects.Get(ctx, logKey(seq))
	if err != nil {
		return nil, err
	}
	return decodeEntry(seq, body)
}
