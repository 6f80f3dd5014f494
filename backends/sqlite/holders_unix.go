//go:build unix

package sqlite

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// shmDeadManSwitch is the byte of a -shm file on which every process that has
// the WAL open holds a lock; the end of the process frees it.
const shmDeadManSwitch = 128

// shmLocked reports whether another process has the WAL open. When that cannot
// be told it has: then SQLite's own locks are used.
func shmLocked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return !os.IsNotExist(err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: shmDeadManSwitch, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return true
	}
	return lock.Type != unix.F_UNLCK
}
