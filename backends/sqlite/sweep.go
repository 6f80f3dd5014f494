package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sweep removes what processes left that were killed before their operation had
// a journal: locks without one, journals without their name, staging
// directories. A lock that is free and a staging directory whose lock is free
// belong to nobody.
func (b *Backend) sweep() {
	for _, dir := range []string{b.ops(), b.staging()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			id, _, _ := strings.Cut(entry.Name(), ".")
			if info, err := entry.Info(); err != nil || time.Since(info.ModTime()) < sweepAge {
				continue // perhaps just being made
			}
			b.sweepOperation(id)
		}
	}
}

// sweepAge keeps the sweep away from what a process may be about to lock.
const sweepAge = time.Minute

func (b *Backend) sweepOperation(id string) {
	stem := filepath.Join(b.ops(), id)
	if _, err := os.Lstat(stem + journalExt); err == nil {
		return
	}
	lock, err := tryLockFile(stem + ".lock")
	if err != nil {
		return
	}
	defer lock.release()
	if _, err := os.Lstat(stem + journalExt); err == nil {
		return
	}
	_ = os.RemoveAll(filepath.Join(b.staging(), id))
	_ = os.Remove(stem + journalExt + ".tmp")
	_ = os.Remove(stem + ".lock")
}
