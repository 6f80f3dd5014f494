package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// partSize is how much of an upload is held in memory at a time, times
// partsAtOnce; what fits in one part is sent as one request.
const (
	partSize    = 8 << 20
	partsAtOnce = 3
)

// createTries bounds how often [Bucket.Create] sends a body that did not arrive.
const createTries = 5

// Create writes an object if there is none under the key: of any number of
// callers with different bodies, one wins.
//
// nil: the object has this body. [trackio.ErrExists]: it has another. An error
// that is [ErrOutcomeUnknown]: the store did not answer, and the object may or
// may not be there, now or a little later. Any other error: this call has
// written nothing.
//
// Two callers with the same body both succeed; who must know which of them won
// puts something random into the body.
func (b *Bucket) Create(ctx context.Context, key string, body []byte, contentType string) error {
	whole, err := b.key("create", key)
	if err != nil {
		return err
	}
	if err := b.writable("create", key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return b.fault(ctx, "create", key, err)
	}
	sent := false // a request whose end we did not see
	for try := 1; ; try++ {
		err := b.put(ctx, whole, body, contentType, true)
		if err == nil {
			return nil
		}
		verdict := b.verdict(err)
		if verdict.refused() && !sent {
			return b.fault(ctx, "create", key, err)
		}
		sent = sent || !verdict.refused() && !verdict.exists && !verdict.busy

		// Whatever the answer was, "exists" included, the object itself tells:
		// an earlier request of this very call may have made it.
		found, look := b.get(ctx, whole)
		switch {
		case look == nil && bytes.Equal(found, body):
			return nil
		case look == nil:
			return &trackio.Error{
				Kind: trackio.ErrExists, Message: fmt.Sprintf("create %s in %s: another object is there", key, b.name), Err: err,
			}
		case !b.verdict(look).absent:
			return b.unknown(ctx, key, sent || verdict.exists, err, look)
		}
		if ctx.Err() != nil || try == createTries {
			return b.unknown(ctx, key, sent, err, look)
		}
		if err := pause(ctx, try); err != nil {
			return b.unknown(ctx, key, sent, err, look)
		}
	}
}

// unknown is the end of a Create that no look at the object could settle.
func (b *Bucket) unknown(ctx context.Context, key string, sent bool, err, look error) error {
	if !sent {
		return b.fault(ctx, "create", key, err)
	}
	verdict := b.verdict(err)
	return &trackio.Error{
		Kind:    trackio.ErrUnavailable,
		Message: fmt.Sprintf("create %s in %s: outcome unknown: %s", key, b.name, verdict.text),
		Hint:    "the store did not answer in time; look whether the change has happened before repeating it",
		Err:     errors.Join(ErrOutcomeUnknown, err, look),
	}
}

// pause waits before another try.
func pause(ctx context.Context, try int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pauseBefore(try)):
		return nil
	}
}

// pauseBefore is some tens of milliseconds, doubling with every try, with
// jitter so that callers who met once do not meet again.
func pauseBefore(try int) time.Duration {
	return time.Duration(float64(20*time.Millisecond<<min(try, 6)) * (0.5 + rand.Float64()))
}

// Put writes an object, over one that may be there.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, contentType string) error {
	whole, err := b.key("write", key)
	if err != nil {
		return err
	}
	if err := b.writable("write", key); err != nil {
		return err
	}
	if err := b.put(ctx, whole, body, contentType, false); err != nil {
		return b.fault(ctx, "write", key, err)
	}
	return nil
}

func (b *Bucket) put(ctx context.Context, whole string, body []byte, contentType string, onlyNew bool) error {
	// A body of some size may take its time as long as it moves.
	limit := b.timeout + time.Duration(len(body)/(256<<10))*time.Second
	call, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return b.store.write(call, whole, body, contentType, onlyNew)
}

// Upload writes an object of any size from a stream, over one that may be
// there. A size of -1 is unknown; otherwise a stream of another length is an
// error. It holds at most 24 MiB. When it fails or is cancelled there is no
// object (or still the old one), and no part of an upload.
func (b *Bucket) Upload(ctx context.Context, key string, r io.Reader, size int64, contentType string) error {
	whole, err := b.key("write", key)
	if err != nil {
		return err
	}
	if err := b.writable("write", key); err != nil {
		return err
	}
	source := &sourceReader{r: r, want: size}
	first := make([]byte, 0, firstPart(size))
	switch first, err = readPart(source, first); err {
	case nil: // there is more
		err = b.store.upload(ctx, whole, io.MultiReader(bytes.NewReader(first), source), size, contentType)
	case io.EOF:
		err = b.put(ctx, whole, first, contentType, false)
	}
	switch {
	case source.err != nil: // the stream broke, not the store
		return source.err
	case err != nil:
		return b.fault(ctx, "write", key, err)
	}
	return nil
}

// firstPart returns the room for the first read of a stream: all of a small
// one, and a byte to see that it ends.
func firstPart(size int64) int64 {
	if size >= 0 && size < partSize {
		return size + 1
	}
	return partSize
}

// readPart fills p to its capacity; io.EOF with what there was when r ended.
func readPart(r io.Reader, p []byte) ([]byte, error) {
	for len(p) < cap(p) {
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// sourceReader reads what is uploaded and remembers its error, to tell it from
// one of the store; a stream of another length than announced is an error.
type sourceReader struct {
	r    io.Reader
	want int64 // -1: unknown
	read int64
	err  error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	switch {
	case s.want >= 0 && s.read > s.want:
		s.err = trackio.Errorf(trackio.ErrInvalid, "the stream is longer than the %d bytes announced", s.want)
	case err == io.EOF && s.want >= 0 && s.read < s.want:
		s.err = trackio.Errorf(trackio.ErrInvalid, "the stream ended after %d of %d bytes", s.read, s.want)
	case err != nil && err != io.EOF:
		s.err = err
	}
	if s.err != nil {
		return n, s.err
	}
	return n, err
}

// Conditional makes sure that the store refuses to create what exists, on an
// object that may or may not be there and then has this body. A store that
// creates it twice has no conditional creates: nothing may be written to it,
// since two writers could both believe they won. [errors.ErrUnsupported].
func (b *Bucket) Conditional(ctx context.Context, key string, body []byte, contentType string) error {
	whole, err := b.key("create", key)
	if err != nil {
		return err
	}
	if err := b.writable("create", key); err != nil {
		return err
	}
	for range 2 {
		err := b.put(ctx, whole, body, contentType, true)
		if err == nil {
			continue // it was absent; so the second must be refused
		}
		if verdict := b.verdict(err); verdict.exists {
			return nil
		}
		return b.fault(ctx, "create", key, err)
	}
	return (&trackio.Error{
		Kind:    errors.ErrUnsupported,
		Message: fmt.Sprintf("%s creates an object that is already there: it has no conditional writes", b.name),
	}).WithHint("%s", hintConditional)
}

const hintConditional = "writing needs a store that honours If-None-Match, as S3, MinIO, Google's and Azure's do; reading works on this one"
