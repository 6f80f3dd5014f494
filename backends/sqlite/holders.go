package sqlite

import (
	"database/sql"
	"path/filepath"
	"sync"
)

// Closing any descriptor of a file drops every POSIX lock that the process holds
// on it, those of other connections included. SQLite takes care of the
// descriptors that it knows; those of a read without locks it does not. So the
// connections of this process that rely on locks are counted, by file, and a
// read without locks closes its database only when there are none.

// lockHolders are the connections of this process that hold locks.
type lockHolders struct {
	mu    sync.Mutex
	files map[string]*lockHolder
}

type lockHolder struct {
	n       int
	waiting []*sql.DB // read without locks, to be closed when n is 0
}

// holders is one for the process, as the locks are.
var holders = lockHolders{files: map[string]*lockHolder{}}

// holdLocks says that a connection with locks is about to be opened on a
// database file. When it has been closed, release must be called, once.
func holdLocks(path string) (release func()) {
	path = realPath(path)
	holders.mu.Lock()
	defer holders.mu.Unlock()
	h := holders.files[path]
	if h == nil {
		h = &lockHolder{}
		holders.files[path] = h
	}
	h.n++
	return func() { holders.release(path, h) }
}

func (l *lockHolders) release(path string, h *lockHolder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.n--; h.n > 0 {
		return
	}
	delete(l.files, path)
	for _, db := range h.waiting {
		_ = db.Close() // only read
	}
}

// closeLockless closes a database that was read without locks, now or with the
// last connection that relies on locks.
func closeLockless(path string, db *sql.DB) error {
	path = realPath(path)
	holders.mu.Lock()
	defer holders.mu.Unlock()
	if h := holders.files[path]; h != nil {
		h.waiting = append(h.waiting, db)
		return nil
	}
	return db.Close()
}

// inUse reports whether some process has the WAL of a database open, this one
// included.
func inUse(path string) bool {
	path = realPath(path)
	holders.mu.Lock()
	defer holders.mu.Unlock()
	if holders.files[path] != nil {
		return true
	}
	// This process has no lock on the -shm, so there is none to lose by opening
	// and closing it.
	return shmLocked(path + "-shm")
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}
