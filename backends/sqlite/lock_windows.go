package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// errReadOnly is what opening for writing gives on a write-protected medium.
var errReadOnly error = windows.ERROR_WRITE_PROTECT

// lockFile takes a lock on the file's first byte. Python Trackio takes none on
// Windows; there SQLite's own locks keep the two apart, and this one our own
// processes.
func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

func unlockFile(f *os.File) {
	_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped))
}
