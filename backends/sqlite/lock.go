package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// lockBudget is how long a change waits for a project's lock, and how long it
// may hold one: a training process gives up after 10 s and drops its rows.
const lockBudget = 5 * time.Second

// lockPoll is Python Trackio's interval between two tries.
const lockPoll = 100 * time.Millisecond

// errLocked is what tryLock returns when somebody else holds the lock.
var errLocked = errors.New("locked by another process")

// fileLock is an exclusive lock on a file, released by the end of the process
// too. The file stays: Python Trackio never removes its lock files, and a file
// that two processes lock must not be replaced under either.
type fileLock struct{ file *os.File }

// release gives the lock back.
func (l *fileLock) release() {
	unlockFile(l.file)
	_ = l.file.Close()
}

// tryLockFile takes the lock of the file at path without waiting, creating the
// file if need be. errLocked means that another process holds it.
func tryLockFile(path string) (*fileLock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f); err != nil {
			_ = f.Close()
			return nil, err
		}
		// Between opening and locking the file may have been removed by its
		// last owner; a lock on a file without a name keeps nobody out.
		opened, err1 := f.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(opened, named) {
			return &fileLock{file: f}, nil
		}
		_ = f.Close()
	}
}

// lockProjects takes the locks that Python's writers take, of one project or
// several, in sorted order so that two moves in opposite directions cannot wait
// for each other. It gives up, with ErrConflict, when lockBudget has passed.
func (b *Backend) lockProjects(ctx context.Context, projects ...string) (release func(), err error) {
	projects = slices.Compact(slices.Sorted(slices.Values(projects)))
	deadline := time.NewTimer(lockBudget)
	defer deadline.Stop()
	var held []*fileLock
	release = func() {
		for _, l := range slices.Backward(held) {
			l.release()
		}
	}
	for _, project := range projects {
		l, err := b.lockProject(ctx, project, deadline.C)
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, l)
	}
	return release, nil
}

func (b *Backend) lockProject(ctx context.Context, project string, deadline <-chan time.Time) (*fileLock, error) {
	path := b.layout.lock(project)
	for {
		l, err := tryLockFile(path)
		switch {
		case err == nil:
			return l, nil
		case errors.Is(err, fs.ErrPermission), errors.Is(err, errReadOnly):
			return nil, trackio.Errorf(trackio.ErrPermission, "project %q cannot be changed: %w", project, err).
				WithHint("make %s and its directory writable for this user", path)
		case !errors.Is(err, errLocked):
			return nil, trackio.Errorf(trackio.ErrUnavailable, "locking project %q: %w", project, err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-deadline:
			return nil, trackio.Errorf(trackio.ErrConflict, "project %q is locked by another process for more than %v", project, lockBudget).
				WithHint("try again when the process that writes to it is idle")
		case <-time.After(lockPoll):
		}
	}
}
