package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

const (
	// every is the number of commits between checkpoints.
	every = 16
	// overdue is after how many more commits somebody else writes a checkpoint
	// that its own writer has not.
	overdue = 2
	// checkpointTime bounds the writing of one.
	checkpointTime = 2 * time.Minute
	// partsAtOnce bounds how many parts are written at the same time.
	partsAtOnce = 4
)

// checkpoint is the state after a commit, but for the runs themselves. It never
// changes.
type checkpoint struct {
	seq      int64
	projects map[string]*part
}

type checkpointBody struct {
	Seq      int64            `json:"seq"`
	Projects map[string]*part `json:"projects"`
}

func (c *checkpoint) encode() ([]byte, error) {
	return encode(checkpointBody{c.seq, c.projects})
}

// decodeCheckpoint reads checkpoint seq. An error is [trackio.ErrDataLoss].
func decodeCheckpoint(seq int64, body []byte) (*checkpoint, error) {
	var c checkpointBody
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, damaged(checkpointKey(seq), "%v", err)
	}
	if c.Seq != seq {
		return nil, damaged(checkpointKey(seq), "it says that it is number %d", c.Seq)
	}
	for project, p := range c.Projects {
		if p == nil || project == "" || p.Runs < 1 || len(p.SHA256) != 64 {
			return nil, damaged(checkpointKey(seq), "project %q has no whole part", project)
		}
		if n := partSeq(p.Key); n < 1 || n > seq {
			return nil, damaged(checkpointKey(seq), "%q is no name of a part", p.Key)
		}
	}
	return &checkpoint{seq: seq, projects: c.Projects}, nil
}

// checkpoint reads checkpoint seq; [trackio.ErrNotFound] if there is none.
func (l *Ledger) checkpoint(ctx context.Context, seq int64) (*checkpoint, error) {
	body, err := l.objects.Get(ctx, checkpointKey(seq))
	if err != nil {
		return nil, err
	}
	return decodeCheckpoint(seq, body)
}

func floor(seq int64) int64 { return seq - seq%every }

// keepUp sees to the checkpoint that a commit of this process makes due, in the
// background: a commit waits for none, and none makes it fail.
func (l *Ledger) keepUp(ctx context.Context, s *State) {
	due := floor(s.seq)
	if due <= s.base.seq || s.seq-due != 0 && s.seq-due < overdue {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.checkpointing {
		return
	}
	l.checkpointing = true
	l.work.Add(1)
	go func() {
		defer l.work.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkpointTime)
		defer cancel()
		// An error leaves it to a later commit, of whatever process.
		if gone := (*goneError)(nil); errors.As(l.ensure(ctx, s, due), &gone) {
			_, _ = l.recover(ctx, gone)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.checkpointing = false
	}()
}

// ensure makes sure that checkpoint seq is there, which must not lie before that
// of s nor after s itself, and lets the ledger's state stand on it.
func (l *Ledger) ensure(ctx context.Context, s *State, seq int64) error {
	cp, err := l.checkpoint(ctx, seq)
	if errors.Is(err, trackio.ErrNotFound) {
		// Parts that did not change are taken from the newest checkpoint before,
		// rather than from one that others have left behind.
		if before := seq - every; before > s.base.seq && !l.isBroken(before) {
			if newer, err := l.checkpoint(ctx, before); err == nil {
				if s, err = s.on(newer); err != nil {
					return err
				}
			}
		}
		cp, err = l.write(ctx, s, seq)
	}
	if err == nil {
		err = l.hint(ctx, seq)
	}
	if err != nil {
		return err
	}
	l.stand(cp)
	return nil
}

// stand lets the ledger's state begin at a checkpoint, if it is a newer one.
func (l *Ledger) stand(cp *checkpoint) {
	s := l.current()
	if s == nil || cp.seq <= s.base.seq || cp.seq > s.seq {
		return
	}
	if s, err := s.on(cp); err == nil {
		l.adopt(s)
	}
}

// write makes checkpoint seq, or finds that another writer just has.
func (l *Ledger) write(ctx context.Context, s *State, seq int64) (*checkpoint, error) {
	s, err := s.at(seq)
	if err != nil {
		return nil, err
	}
	cp, made, err := l.writeParts(ctx, s)
	if err != nil {
		// No checkpoint names these parts, and none will.
		_ = l.objects.Delete(ctx, made)
		return nil, err
	}
	body, err := cp.encode()
	if err != nil {
		return nil, err
	}
	there, err := l.create(ctx, checkpointKey(seq), body, jsonType)
	if err != nil || there == nil {
		return cp, err // after an error it may be ours, now or later: its parts must stay
	}
	if err := l.objects.Delete(ctx, made); err != nil {
		return nil, err
	}
	return decodeCheckpoint(seq, there)
}

// create makes an object, or returns what another has made under that name.
func (l *Ledger) create(ctx context.Context, key string, body []byte, contentType string) (other []byte, err error) {
	err = l.objects.Create(ctx, key, body, contentType)
	if err == nil {
		return nil, nil
	}
	there, look := l.objects.Get(ctx, key)
	switch {
	case look == nil && bytes.Equal(there, body):
		return nil, nil
	case look == nil:
		return there, nil
	case errors.Is(err, trackio.ErrExists):
		return nil, trackio.Errorf(trackio.ErrUnavailable, "%s is there, and cannot be read: %v", key, look)
	}
	return nil, err
}

// writeParts writes the parts of the projects that have changed since the
// checkpoint of the state, and returns the index of all, and what it wrote.
func (l *Ledger) writeParts(ctx context.Context, s *State) (*checkpoint, []string, error) {
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		slots  = make(chan struct{}, partsAtOnce)
		cp     = &checkpoint{seq: s.seq, projects: make(map[string]*part, len(s.projects))}
		made   []string
		failed error
	)
	for project, v := range s.projects {
		if v.part != nil && len(v.changed) == 0 {
			mu.Lock()
			cp.projects[project] = v.part
			mu.Unlock()
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			key := partKey(s.seq, random(6))
			mu.Lock()
			stop := failed != nil
			if !stop {
				made = append(made, key)
			}
			mu.Unlock()
			if stop {
				return
			}
			p, err := l.writePart(ctx, s, project, key)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			}
			cp.projects[project] = p
		})
	}
	wg.Wait()
	return cp, made, failed
}

func (l *Ledger) writePart(ctx context.Context, s *State, project, key string) (*part, error) {
	body, count, err := encodePart(s.merged(ctx, project))
	if err != nil {
		return nil, err
	}
	if count != s.Count(project) {
		return nil, damaged(key, "project %q has %d runs where %d were counted", project, count, s.Count(project))
	}
	if other, err := l.create(ctx, key, body, zstdType); err != nil {
		return nil, err
	} else if other != nil {
		return nil, damaged(key, "it is not what was just written")
	}
	l.parts.put(key, body)
	return &part{Key: key, SHA256: checksum(body), Runs: count}, nil
}

// hint says where the newest checkpoint is, unless it is said already. A slow
// writer may set it back all the same; then a reader finds an older one, or looks
// for the newest itself.
func (l *Ledger) hint(ctx context.Context, seq int64) error {
	if known, err := l.hinted(ctx); err != nil || known >= seq {
		return err
	}
	return l.objects.Put(ctx, hintKey, fmt.Appendf(nil, `{"seq": %d}`, seq), jsonType)
}

// hinted returns what the hint says; 0 if it says nothing.
func (l *Ledger) hinted(ctx context.Context) (int64, error) {
	body, err := l.objects.Get(ctx, hintKey)
	if errors.Is(err, trackio.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var hint struct {
		Seq int64 `json:"seq"`
	}
	_ = json.Unmarshal(body, &hint) // it may be anything: nothing rests on it
	return max(hint.Seq, 0), nil
}

// listed returns the numbers of the checkpoints that are there, the newest first.
func (l *Ledger) listed(ctx context.Context) ([]int64, error) {
	var seqs []int64
	for e, err := range l.objects.List(ctx, checkpointPrefix) {
		if err != nil {
			return nil, err
		}
		if seq := checkpointSeq(e.Key); seq > 0 {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	slices.Reverse(seqs)
	return seqs, nil
}

// random returns n random bytes in hex.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
