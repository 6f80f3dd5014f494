package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// objects is what the media of runs need of a bucket; [bucket.Bucket] is it.
type objects interface {
	NewReader(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	Stat(ctx context.Context, key string) (bucket.Attributes, error)
	List(ctx context.Context, prefix string) iter.Seq2[bucket.Entry, error]
	Put(ctx context.Context, key string, body []byte, contentType string) error
	Upload(ctx context.Context, key string, r io.Reader, size int64, contentType string) error
	Copy(ctx context.Context, from, to, contentType string) error
	Delete(ctx context.Context, keys []string) error
	Close() error
}

const (
	// mediaAtOnce is how many objects are read or written at a time, with what they
	// need in memory; copiesAtOnce how many are looked at or copied by the store.
	mediaAtOnce  = 16
	copiesAtOnce = 32
	// smallFile is up to which size a file that comes in is held in memory, so that
	// several can be on their way at once; smallRead that of one that is read. A
	// larger one is streamed.
	smallFile = 4 << 20
	smallRead = 1 << 20
	// keysAtOnce is how many objects one call deletes.
	keysAtOnce = 2000
)

// mediaBucket is the bucket that the configuration names for media. Keys are
// file_paths. It is opened when it is first needed, so that what needs no media
// never contacts it.
type mediaBucket struct {
	name string // as journals call it
	dial func(ctx context.Context, readOnly bool) (objects, error)

	mu       sync.Mutex
	reader   objects // creates nothing
	writer   objects
	failure  error // of the last try to open it
	failedAt time.Time
}

// failureHolds is how long a bucket that could not be opened is not tried again:
// each of several interrupted operations would wait for it in turn.
const failureHolds = 5 * time.Second

// newMediaBucket takes the attribute media of a configuration: the URL of a
// bucket or a directory. It returns nil for the directory that is the default.
func newMediaBucket(media, dir string) (*mediaBucket, error) {
	if media == "" {
		return nil, nil
	}
	invalid := func(format string, args ...any) error {
		return mediaError{trackio.Errorf(trackio.ErrInvalid, "media = %q: "+format, append([]any{bucket.Shown(media)}, args...)...).
			WithHint("write the URL of a bucket, such as s3://bucket?region=eu-west-1&prefix=media, or an absolute path; or leave it out, for media beside the databases")}
	}
	if !strings.Contains(media, "://") {
		if !filepath.IsAbs(media) {
			return nil, invalid("neither the URL of a bucket nor an absolute path")
		}
		if filepath.Clean(media) == filepath.Clean(dir) {
			return nil, invalid("that is the Trackio directory itself")
		}
		if filepath.Clean(media) == filepath.Clean(layout{dir}.media()) {
			return nil, nil
		}
		slashes := filepath.ToSlash(filepath.Clean(media))
		if !strings.HasPrefix(slashes, "/") { // a drive of Windows
			slashes = "/" + slashes
		}
		media = (&url.URL{Scheme: "file", Path: slashes}).String()
	}
	if err := bucket.CheckURL(media); err != nil {
		return nil, invalid("%w", err)
	}
	if liesIn(dir, media) {
		return nil, invalid("the Trackio directory lies in it, where the media of a project of its name would be")
	}
	name, err := bucketName(media)
	if err != nil {
		return nil, invalid("%w", err)
	}
	return &mediaBucket{name: name, dial: func(ctx context.Context, readOnly bool) (objects, error) {
		b, err := bucket.Open(ctx, bucket.Config{URL: media, ReadOnly: readOnly, Shared: true})
		if err != nil {
			return nil, err
		}
		return b, nil
	}}, nil
}

// liesIn reports whether a directory is that of a file:// URL, or below it.
// Deleting a project deletes what lies under its name there, which must never be
// the databases.
func liesIn(dir, media string) bool {
	u, err := url.Parse(media)
	if err != nil || u.Scheme != "file" {
		return false
	}
	root := filepath.Join(filepath.FromSlash(u.Path), filepath.FromSlash(u.Query().Get("prefix")))
	below, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(below)
}

// mediaError is shown at the attribute media of the configuration file.
type mediaError struct{ error }

func (e mediaError) Unwrap() error         { return e.error }
func (mediaError) ConfigAttribute() string { return "media" }

// bucketName is the URL of a bucket with those of its options that say which
// bucket it is; how it is reached may change while an operation is interrupted.
func bucketName(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	query := u.Query()
	for option := range query {
		switch option {
		case "prefix":
			query.Set(option, strings.Trim(query.Get(option), "/"))
		case "endpoint", "domain", "storage_account":
		default:
			query.Del(option)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// reading opens the bucket without creating anything; writing opens it for a
// change.
func (m *mediaBucket) reading(ctx context.Context) (objects, error) { return m.open(ctx, true) }
func (m *mediaBucket) writing(ctx context.Context) (objects, error) { return m.open(ctx, false) }

func (m *mediaBucket) open(ctx context.Context, readOnly bool) (objects, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.writer != nil:
		return m.writer, nil
	case readOnly && m.reader != nil:
		return m.reader, nil
	case m.failure != nil && time.Since(m.failedAt) < failureHolds:
		return nil, m.failure
	}
	store, err := m.dial(ctx, readOnly)
	if ctx.Err() != nil {
		if err == nil {
			err = store.Close()
		}
		return nil, errors.Join(cause(ctx, ctx.Err()), err)
	}
	if err != nil {
		m.failure, m.failedAt = m.cannotOpen(err), time.Now()
		return nil, m.failure
	}
	m.failure = nil
	if readOnly {
		m.reader = store
	} else {
		m.writer = store
	}
	return store, nil
}

// cannotOpen names the attribute. That there is no such bucket does not say that
// there is no such run: a caller must not take the one for the other.
func (m *mediaBucket) cannotOpen(err error) error {
	kind := trackio.KindOf(err)
	if kind == nil || errors.Is(kind, trackio.ErrNotFound) {
		kind = trackio.ErrUnavailable
	}
	e := trackio.Errorf(kind, "the bucket for media (media = %q) cannot be used: %w", m.name, opaque{err})
	hint := trackio.HintOf(err)
	if hint == "" {
		hint = "check the attribute media of this backend in the configuration"
	}
	return e.WithHint("%s", hint)
}

// opaque keeps the text of an error and hides its kind.
type opaque struct{ err error }

func (o opaque) Error() string { return o.err.Error() }

func (m *mediaBucket) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, store := range []objects{m.reader, m.writer} {
		if store != nil {
			errs = append(errs, store.Close())
		}
	}
	m.reader, m.writer = nil, nil
	return errors.Join(errs...)
}

// keysOf are the keys under which the object of a file_path may lie: the text as
// it stands and, for what Windows wrote, with slashes.
func keysOf(filePath string) []string {
	keys := make([]string, 0, 2)
	for _, key := range []string{path.Clean(filePath), cleanRef(filePath)} {
		if bucket.ValidKey(key) && (len(keys) == 0 || keys[0] != key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// absent makes an error that says for certain that there is no such object
// fs.ErrNotExist, so that it cannot be taken for a run that is not there.
func absent(err error) error {
	if errors.Is(err, trackio.ErrNotFound) || errors.Is(err, syscall.ENAMETOOLONG) {
		return fs.ErrNotExist
	}
	return err
}

// bucketSource is a bucket from which media are read.
type bucketSource struct{ objects }

// open implements [mediaSource]. A small file is in memory when it returns, and
// has taken one request.
func (s bucketSource) open(ctx context.Context, filePath string) (*mediaFile, error) {
	for _, key := range keysOf(filePath) {
		f, err := s.openKey(ctx, key)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, fs.ErrNotExist
}

func (s bucketSource) openKey(ctx context.Context, key string) (*mediaFile, error) {
	r, err := s.NewReader(ctx, key, 0, -1)
	if err != nil {
		return nil, absent(err)
	}
	var start bytes.Buffer
	n, err := start.ReadFrom(io.LimitReader(r, smallRead+1))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if n <= smallRead {
		return &mediaFile{name: key, size: n, small: true, Reader: &start, close: func() {}}, r.Close()
	}
	attributes, err := s.Stat(ctx, key)
	if err != nil {
		_ = r.Close()
		return nil, absent(err)
	}
	return &mediaFile{name: key, size: attributes.Size, Reader: io.MultiReader(&start, r), close: func() { _ = r.Close() }}, nil
}

func (bucketSource) done() {}

// find returns the key of the object that a file_path refers to, or
// fs.ErrNotExist.
func find(ctx context.Context, store objects, filePath string) (string, error) {
	for _, key := range keysOf(filePath) {
		_, err := store.Stat(ctx, key)
		if err = absent(err); !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
	}
	return "", fs.ErrNotExist
}

// deleteKeys deletes objects in batches; those that are gone already are fine.
func deleteKeys(ctx context.Context, store objects, keys iter.Seq2[string, error]) error {
	batch := make([]string, 0, keysAtOnce)
	for key, err := range keys {
		if err != nil {
			return err
		}
		if batch = append(batch, key); len(batch) == cap(batch) {
			if err := store.Delete(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return store.Delete(ctx, batch)
}
