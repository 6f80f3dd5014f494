package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/trackio-go/trackio/trackio"
)

// wrapErr gives an error of SQLite or of the file system its kind, and a message
// that says what could not be done to which file. An error that has a kind, and
// the end of a context, pass as they are; nil stays nil.
func wrapErr(err error, what, path string) error {
	if err == nil {
		return nil
	}
	var known *trackio.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	hint, kind := classify(err)
	e := trackio.Errorf(kind, "cannot %s %s: %w", what, path, err)
	if hint != "" {
		e = e.WithHint("%s", hint)
	}
	return e
}

// classify returns the kind of an error of SQLite or of the file system, and
// what the reader can do about it.
func classify(err error) (hint string, kind error) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		switch {
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
			return "check who owns the file and its directory", trackio.ErrPermission
		case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
			return "", trackio.ErrInvalid
		case errors.Is(err, syscall.ENOSPC):
			return "the disk is full; nothing was changed", trackio.ErrUnavailable
		case strings.HasPrefix(err.Error(), "sql: Scan error"):
			return "a column holds a value of another kind than Trackio writes", trackio.ErrDataLoss
		}
		return "", trackio.ErrUnavailable
	}
	switch e.Code() {
	case sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY:
		return "a writer was interrupted; let Trackio open the project once with write access", trackio.ErrUnavailable
	case sqlite3.SQLITE_IOERR_NOMEM:
		return "", trackio.ErrUnavailable
	case sqlite3.SQLITE_IOERR_SHMSIZE:
		return "the disk is full, or fails: the file -shm beside the database could not grow", trackio.ErrUnavailable
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return "another process holds the database locked; try again", trackio.ErrConflict
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "restore the file from a copy, or rescue its rows with: sqlite3 FILE .recover", trackio.ErrDataLoss
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN:
		return "check who owns the file, its -wal and -shm, and its directory", trackio.ErrPermission
	case sqlite3.SQLITE_FULL:
		return "the disk is full", trackio.ErrUnavailable
	case sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT:
		return "", trackio.ErrDataLoss
	case sqlite3.SQLITE_CONSTRAINT:
		return "", trackio.ErrConflict
	}
	return "", trackio.ErrUnavailable
}
