// Package sqlite is the storage that Python Trackio itself uses: a directory
// with one SQLite database a project, and media files beside them. Both
// programs work on one directory, in turn and at the same time.
//
// # Configuration
//
// See [Config]: the directory, by default the one that Python Trackio uses; and
// where media lie, by default in the directory.
//
// # Layout
//
//	<project>.db                 the rows of the project's runs, in three generations of schema
//	<project>.lock               the lock that writers take; readers take none
//	media/<project>/<run name>/  the media that the rows refer to
//	inbox/<writer>/*.jsonl       rows that a training process has handed in, not imported yet
//	.trackio-go/                 operations under way, and imports before they are visible
//
// A database is read as it is: it is never migrated.
//
// # Media in a bucket
//
// With [Config.Media] a file that a row refers to is looked for in the bucket,
// under its file_path as the key, and then in media/, where Python Trackio writes;
// it is missing only if it is definitely in neither. What this package stores goes
// into the bucket, under <project>/run-<32 digits>/, a directory of each import's
// and move's own. A move leaves every file where it is kept: what is in the bucket
// is copied there by the store itself, what is on the disk gets another name there.
//
// Python Trackio knows nothing of the bucket: it shows what lies there as missing,
// and a run that it moves or renames itself loses its references to it.
//
// The bucket is contacted by what reads or changes media, and only then. Without
// it a change of a run with media is refused, with nothing changed; a change that
// has happened leaves what could not be deleted to a later one. No lock is held
// meanwhile. Deleting a project deletes the objects that its rows refer to, and no
// others under its name: the bucket may be another directory's too.
//
// Rows in the inbox are counted in listings, as Pending of runs that have other
// rows too. Before a change of a run they are imported as Python Trackio does,
// for else they would bring back what was deleted or moved.
//
// # Guarantees
//
// Reading creates and changes nothing, neither in a directory that it could
// write to nor in one that it could not, and never reads a torn state: what is
// read is one snapshot of a database, or an error. (Beside a process that is
// writing, a reader can delay the removal of that process's -wal and -shm.) A broken database spoils its
// own project only. No project name, run name or media reference leads outside
// the directory; a symbolic link in the media directory is followed only inside
// it.
package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// Config says which directory the backend works on.
type Config struct {
	// Dir is the Trackio directory. When it is empty, the one of Python Trackio
	// is meant: $TRACKIO_DIR, else $HF_HOME/trackio, else the directory
	// huggingface/trackio in the user's cache directory.
	Dir string `trackio:"dir,path" env:"TRACKIO_DIR" help:"the Trackio directory; by default the one that Python Trackio uses"`

	// Media says where media lie: the URL of a bucket (s3://, gs://, azblob://,
	// file://) or the absolute path of a directory. When it is empty they lie in
	// Dir/media, where Python Trackio writes them.
	Media string `trackio:"media" help:"where media lie: the URL of a bucket, such as s3://bucket?prefix=media, or an absolute path; by default media/ in the Trackio directory"`
}

// Environment returns the variables that the clients of buckets read, by name or
// as the beginning of names and "*".
func Environment() []string { return bucket.Environment() }

// Backend is an opened Trackio directory.
type Backend struct {
	layout
	bucket *mediaBucket // nil: media lie on the disk alone
	now    func() time.Time
	cache  int // KiB, of each writer

	mu     sync.Mutex
	closed bool
	done   context.Context // ends with errClosed when the backend is closed
	stop   context.CancelCauseFunc
}

var errClosed = trackio.Errorf(trackio.ErrUnavailable, "the backend is closed")

// Open opens a Trackio directory. It changes nothing: a directory that does not
// exist is one without projects, and is created by the first run stored in it. A
// path that is a file is [trackio.ErrInvalid].
func Open(_ context.Context, config Config) (*Backend, error) {
	dir := config.Dir
	if dir == "" {
		dir = defaultDir(os.Getenv)
	}
	if dir == "" {
		return nil, trackio.Errorf(trackio.ErrInvalid, "no Trackio directory is configured, and the environment names no home directory").
			WithHint("set dir in the configuration, or TRACKIO_DIR")
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, wrapErr(err, "open the Trackio directory", dir)
	case !info.IsDir():
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s is a file, not a Trackio directory", dir).
			WithHint("name the directory that holds the *.db files")
	}
	media, err := newMediaBucket(config.Media, dir)
	if err != nil {
		return nil, err
	}
	done, stop := context.WithCancelCause(context.Background())
	return &Backend{layout: layout{dir: dir}, bucket: media, now: time.Now, cache: writerCache, done: done, stop: stop}, nil
}

// ConfigSettings says which directory was taken where none was configured.
func (b *Backend) ConfigSettings() map[string]string { return map[string]string{"dir": b.dir} }

// Close ends the calls under way with an error and refuses later ones.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.stop(errClosed)
	if b.bucket == nil {
		return nil
	}
	return b.bucket.close()
}

// enter begins a call: the context it returns ends with the caller's and with
// the backend. The call ends with leave.
func (b *Backend) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return nil, nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(b.done, func() { cancel(errClosed) })
	return ctx, func() { unhook(); cancel(nil) }, nil
}
