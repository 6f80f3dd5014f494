package sqlite

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// sharing keeps quiet readers and writers of one file apart within this process.
// Across processes SQLite sees to it. Within one, all connections to a database
// share one mapping of its -shm: a reader that has opened it read-only makes it
// read-only for a writer too; and a reader without locks that closes the file
// drops the locks that the writer has on it, as POSIX has it.
var sharing struct {
	mu    sync.Mutex
	files map[string]*sharedFile
}

type sharedFile struct {
	readers, writers int
	quiet            chan struct{} // closed when the last reader leaves
}

// writerPatience is how long a writer waits for the readers of its own process;
// it may hold the project's lock meanwhile.
const writerPatience = 2 * time.Second

// readQuietly registers a reader that leaves nothing behind. It reports false
// when a writer is at work: then the reader takes SQLite's own locks instead.
func readQuietly(path string) (leave func(), ok bool) {
	sharing.mu.Lock()
	defer sharing.mu.Unlock()
	f := sharedFileAt(path)
	if f.writers > 0 {
		return nil, false
	}
	if f.readers++; f.readers == 1 {
		f.quiet = make(chan struct{})
	}
	return func() {
		sharing.mu.Lock()
		defer sharing.mu.Unlock()
		if f.readers--; f.readers == 0 {
			close(f.quiet)
			forget(path, f)
		}
	}, true
}

// writeAlone registers a writer: new quiet readers give way, and it waits for
// those that are there.
func writeAlone(ctx context.Context, path string) (leave func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	sharing.mu.Lock()
	f := sharedFileAt(path)
	f.writers++
	quiet, busy := f.quiet, f.readers > 0
	sharing.mu.Unlock()
	leave = func() {
		sharing.mu.Lock()
		defer sharing.mu.Unlock()
		f.writers--
		forget(path, f)
	}
	if !busy {
		return leave, nil
	}
	timeout := time.NewTimer(writerPatience)
	defer timeout.Stop()
	select {
	case <-quiet:
		return leave, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	case <-timeout.C:
		leave()
		return nil, trackio.Errorf(trackio.ErrConflict, "%s is being read by this very program; nothing was changed", path).
			WithHint("end the export first, then try again")
	}
}

// sharedFileAt and forget are called with the mutex held.
func sharedFileAt(path string) *sharedFile {
	if sharing.files == nil {
		sharing.files = map[string]*sharedFile{}
	}
	f := sharing.files[path]
	if f == nil {
		f = &sharedFile{}
		sharing.files[path] = f
	}
	return f
}

func forget(path string, f *sharedFile) {
	if f.readers == 0 && f.writers == 0 {
		delete(sharing.files, path)
	}
}
