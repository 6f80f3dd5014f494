// Package bucket reads and writes the objects of one bucket, on any store that
// gocloud reaches: s3://, gs://, azblob://, file:// and mem://.
//
// What a caller may rely on, whatever the store:
//
//   - A key is there with all its bytes or not at all; an upload that fails or
//     is cancelled leaves no object.
//   - "Not found" is said only of an object that is definitely absent, in a
//     bucket that is there. A reader that was cut short ends in an error.
//   - [Bucket.Create] has one winner. A caller that cannot know how it ended
//     gets [ErrOutcomeUnknown], never a guess.
//   - No call hangs: a store that does not answer is reported within seconds.
//   - Every error is of trackio's kinds, says what happened in one line and
//     hints at the way out. What the library of the cloud said stays reachable
//     by [errors.As], and out of the text.
//
// S3, Azure and memory go through gocloud.dev/blob; what that cannot do, or does
// not do right, is done beside it: conditional and small writes, multipart
// uploads and batch deletes on S3. Google's store is reached by Google's JSON
// client instead of gocloud's driver, which links gRPC's xDS and OpenTelemetry
// and would cost every start of every command some seven milliseconds.
// Directories are a small store of our own: gocloud's has no atomic create,
// loses keys in long lists and follows symbolic links out of the directory.
package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// An Entry is an object in a list.
type Entry struct {
	Key     string
	Size    int64
	ModTime time.Time
}

// Attributes are what a store says about an object without sending it.
type Attributes struct {
	Size    int64
	ModTime time.Time
}

// A Bucket is an open bucket, or the part of it below a prefix: keys are
// relative to the prefix. It is safe for concurrent use.
//
// A key is a path of non-empty segments between slashes, of valid UTF-8 without
// control characters; no segment is "." or "..". Other keys are [trackio.ErrInvalid].
type Bucket struct {
	store    store
	name     string // for messages: the URL without its options
	prefix   string // "" or ends in a slash
	timeout  time.Duration
	readOnly bool
	requests *requests
}

// A store is what differs between providers. Keys are whole (with the prefix)
// and checked. Errors are the provider's; explain gives them a meaning.
type store interface {
	// ping fails unless the bucket can be listed.
	ping(ctx context.Context, prefix string) error
	open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// write makes one attempt when onlyNew is set, so that its outcome is that
	// of this one request.
	write(ctx context.Context, key string, body []byte, contentType string, onlyNew bool) error
	upload(ctx context.Context, key string, r io.Reader, size int64, contentType string) error
	stat(ctx context.Context, key string) (Attributes, error)
	list(ctx context.Context, prefix, after string) iter.Seq2[Entry, error]
	// remove deletes objects; the absent are no error.
	remove(ctx context.Context, keys []string) error
	explain(err error) verdict
	close() error
}

// String returns the bucket's URL without options, as messages name it.
func (b *Bucket) String() string { return b.name }

// Requests returns how many HTTP requests the bucket has sent so far, those
// that were repeated included; none for file:// and mem://.
func (b *Bucket) Requests() Requests { return b.requests.snapshot() }

// Close frees what the bucket holds: connections, and the lock of a directory.
func (b *Bucket) Close() error { return b.store.close() }

// Get returns an object that is small enough for memory.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	whole, err := b.key("read", key)
	if err != nil {
		return nil, err
	}
	body, err := b.get(ctx, whole)
	if err != nil {
		return nil, b.fault(ctx, "read", key, err)
	}
	return body, nil
}

func (b *Bucket) get(ctx context.Context, whole string) ([]byte, error) {
	r, err := b.reader(ctx, whole, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var buffer bytes.Buffer
	if _, err := buffer.ReadFrom(r); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// NewReader reads an object from an offset on: length bytes, or with -1 all
// that follow. A body that ends early is an error of its Read, so [io.EOF]
// means that everything has come. The context rules the reads as well.
func (b *Bucket) NewReader(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	whole, err := b.key("read", key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, trackio.Errorf(trackio.ErrInvalid, "read %s in %s: offset %d", key, b.name, offset)
	}
	r, err := b.reader(ctx, whole, offset, length)
	if err != nil {
		return nil, b.fault(ctx, "read", key, err)
	}
	return &faultyReader{ctx: ctx, b: b, key: key, r: r}, nil
}

// Stat describes an object.
func (b *Bucket) Stat(ctx context.Context, key string) (Attributes, error) {
	whole, err := b.key("look at", key)
	if err != nil {
		return Attributes{}, err
	}
	call, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	attributes, err := b.store.stat(call, whole)
	if err != nil {
		return Attributes{}, b.fault(ctx, "look at", key, err)
	}
	return attributes, nil
}

// List yields every object whose key starts with a prefix, in byte order of the
// keys. After an error it ends. (On S3 a key with a segment that ends in two
// dots, or with text like __0x2f__, may stand out of order: gocloud escapes it.)
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return b.ListAfter(ctx, prefix, "")
}

// ListAfter is [Bucket.List] of the keys that follow one in byte order. S3 and
// Google's store skip the others unread.
func (b *Bucket) ListAfter(ctx context.Context, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		start := ""
		if after != "" {
			start = b.prefix + after
		}
		for entry, err := range b.store.list(ctx, b.prefix+prefix, start) {
			if err != nil {
				yield(Entry{}, b.fault(ctx, "list", prefix, err))
				return
			}
			if !strings.HasPrefix(entry.Key, b.prefix+prefix) {
				continue // Azure compares what gocloud has escaped
			}
			entry.Key = strings.TrimPrefix(entry.Key, b.prefix)
			if after != "" && entry.Key <= after {
				continue
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// Delete removes objects; one that is not there is as good as deleted. When it
// fails, some of them may be gone.
func (b *Bucket) Delete(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if err := b.writable("delete", keys[0]); err != nil {
		return err
	}
	whole := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if whole[i], err = b.key("delete", key); err != nil {
			return err
		}
	}
	if err := b.store.remove(ctx, whole); err != nil {
		var one *keyError
		if errors.As(err, &one) {
			return b.fault(ctx, "delete", strings.TrimPrefix(one.key, b.prefix), one.err)
		}
		return b.fault(ctx, "delete", keys[0], err)
	}
	return nil
}

// keyError says which of several keys an error is about.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// key checks a key and puts the prefix before it.
func (b *Bucket) key(op, key string) (string, error) {
	if problem := keyProblem(key); problem != "" {
		return "", trackio.Errorf(trackio.ErrInvalid, "%s %q in %s: %s", op, key, b.name, problem)
	}
	return b.prefix + key, nil
}

func keyProblem(key string) string {
	switch {
	case key == "":
		return "an object needs a name"
	case len(key) > 900:
		return "the name is longer than stores accept"
	case !utf8.ValidString(key):
		return "the name is not UTF-8"
	}
	for _, r := range key {
		if r < ' ' || r == 0x7f {
			return "the name has a control character"
		}
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "the name has an empty segment, or one of dots alone"
		}
	}
	return ""
}

func (b *Bucket) writable(op, key string) error {
	if b.readOnly {
		return trackio.Errorf(trackio.ErrPermission, "%s %s in %s: opened for reading only", op, key, b.name)
	}
	return nil
}
