package sqlite

import "os"

// shmLocked reports whether another process has the WAL open. Windows has no way
// to ask without taking part: a -shm that is there counts as in use.
func shmLocked(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
