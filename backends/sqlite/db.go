package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/trackio-go/trackio/trackio"
)

// How a database is read without leaving anything behind.
//
// SQLite's plain read-only mode is not that: on a cleanly closed WAL database it
// creates -wal and -shm beside it and leaves them there, and after a killed
// writer it rewrites the -shm. So the way depends on what lies beside the file:
//
//   - -wal and -shm, and a process has them open: it is in use. Read with
//     SQLite's locks, which creates nothing that is not there.
//   - -wal alone, or with the -shm of a killed writer: read without locks, the
//     index of the WAL built in memory.
//   - -journal: a rollback journal, in the classic mode. SQLite's locks again;
//     plain read-only mode creates nothing there.
//   - none of them: nobody is writing. Read as immutable, without locks.
//
// The two ways without locks rest on the files staying as they are. A writer may
// begin at any moment, but a WAL writer leaves the database file alone until a
// checkpoint. So what was read is handed on only after a look at the files: when
// they are the same still, it was one state of the database. When not, the read
// is done again (see [Backend.read] and [exporter.steady]). The files are looked
// at with stat alone, never opened: see [holdLocks].
//
// One trace can remain: when the last writer leaves just as we come with locks,
// or while we read, nobody removes its -wal and -shm. The next writer does.
const (
	viaLocks      = "mode=ro"
	viaImmutable  = "mode=ro&immutable=1"
	viaPrivateWAL = "mode=ro&_pragma=locking_mode(exclusive)&vfs=" // and the file layer without locks
)

const (
	// busyTimeout is how long a statement waits for a lock, as in Python
	// Trackio; the context can end the wait earlier.
	busyTimeout = 30 * time.Second
	// clockTick is longer than the step of the clock by which file systems stamp
	// changes: a stamp that old cannot be given once more to a later change.
	clockTick = 12 * time.Millisecond
	// readTries is how often a read is begun anew when the files change under it.
	readTries = 6
)

// errStale: the files changed under a read without locks.
var errStale = errors.New("the database changed while it was read")

// dsn returns the data source name of a database file. The path is escaped, so
// that no character of a directory's name acts as a parameter.
func dsn(path, params string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/"
	path = filepath.ToSlash(path)
	var b strings.Builder
	b.WriteString("file:")
	if strings.HasPrefix(path, "/") {
		b.WriteString("//") // an empty authority, so that a path of //host is not one
	} else if filepath.VolumeName(path) != "" {
		b.WriteString("///")
	}
	for i := range len(path) {
		if c := path[i]; strings.IndexByte(safe, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	fmt.Fprintf(&b, "?_busy_timeout=%d&_error_rc=1&_dqs=0&_pragma=mmap_size(0)&_pragma=trusted_schema(0)", busyTimeout.Milliseconds())
	if params != "" {
		b.WriteString("&" + params)
	}
	return b.String()
}

// snapshot is one state of a project's database, opened for reading.
type snapshot struct {
	*sql.Tx
	db     *sql.DB
	path   string
	schema *schema

	// watched are the files that must stay as they were; none when locks see to
	// it, which release gives back.
	watched []stamp
	release func()
}

// stamp is what stat tells about a file that a change of it would alter.
type stamp struct {
	path string
	info fs.FileInfo // nil: there is none
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{path: path}, nil
	}
	return stamp{path: path, info: info}, err
}

func (s stamp) size() int64 {
	if s.info == nil {
		return 0
	}
	return s.info.Size()
}

func (s stamp) same(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

// openRead opens a snapshot of a project's database. An unknown project is
// [trackio.ErrNotFound]. What is read from the snapshot holds once check has
// returned nil. errStale says that the files changed while it was opened.
func (b *Backend) openRead(ctx context.Context, project string) (*snapshot, error) {
	return b.openReadVia(ctx, project, false)
}

// openReadVia is openRead; with locks set it reads by SQLite's own locks, be it
// at the price of files left behind, unless the directory allows only reading.
func (b *Backend) openReadVia(ctx context.Context, project string, locks bool) (*snapshot, error) {
	path, err := b.find(project)
	if err != nil {
		return nil, err
	}
	s := &snapshot{path: path}
	via := viaLocks
	if !locks {
		if via, s.watched, err = chooseWay(ctx, path); err != nil {
			return nil, wrapErr(err, "open", path)
		}
	}
	if via == viaLocks {
		s.release = holdLocks(path)
	}
	if err := s.open(ctx, via); err != nil {
		_ = s.Close() // it was not opened
		if isGone(err) && !locks {
			return nil, errStale // the -wal or -shm went while it was opened
		}
		if stale := s.check(); stale != nil {
			return nil, stale
		}
		return nil, located(takenAway(err, path), path)
	}
	return s, nil
}

// takenAway turns an error that SQLite met into errStale when the database has
// gone meanwhile, with its project: then a fresh look says so.
func takenAway(err error, path string) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		if _, gone := os.Stat(path); errors.Is(gone, fs.ErrNotExist) {
			return errStale
		}
	}
	return err
}

// find returns the path of a project's database with symbolic links resolved,
// since SQLite keeps the -wal beside the real file.
func (b *Backend) find(project string) (string, error) {
	unknown := trackio.Errorf(trackio.ErrNotFound, "no project %q in %s", project, b.dir).
		WithHint("see `trackio list projects`")
	if project != trackio.CanonicalProject(project) || isRegistry(project) {
		return "", unknown
	}
	path, err := filepath.EvalSymlinks(b.db(project))
	if errors.Is(err, fs.ErrNotExist) {
		if b.hasDatabase(project) {
			return "", trackio.Errorf(trackio.ErrDataLoss, "%s is a link to a file that is not there", b.db(project)).
				WithHint("bring the file back, or remove the link")
		}
		return "", unknown
	}
	if err != nil {
		return "", wrapErr(err, "open", b.db(project))
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", wrapErr(err, "open", path)
	}
	if !info.Mode().IsRegular() {
		return "", trackio.Errorf(trackio.ErrDataLoss, "%s is not a database file", path)
	}
	return path, nil
}

// isRegistry reports the databases that are Trackio's registries of models.
func isRegistry(project string) bool { return strings.HasPrefix(project, "registry-") }

// chooseWay looks at the files of a database and returns how to read it, and
// which files must not change meanwhile.
func chooseWay(ctx context.Context, path string) (via string, watched []stamp, err error) {
	for range readTries {
		file, err1 := stampOf(path)
		wal, err2 := stampOf(path + "-wal")
		journal, err3 := stampOf(path + "-journal")
		if err := errors.Join(err1, err2, err3); err != nil {
			return "", nil, err
		}
		switch {
		case journal.info != nil, wal.info != nil && inUse(path):
			return viaLocks, nil, nil
		case wal.size() > 0:
			via, watched = viaPrivateWAL+lockless(), []stamp{file, wal}
		default:
			via, watched = viaImmutable, []stamp{file}
		}
		// A change in the same tick as the last one would not alter the stamp.
		wait := clockTick - time.Since(latest(watched))
		if wait <= 0 || wait > clockTick {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
	return via, watched, nil
}

func latest(stamps []stamp) time.Time {
	var last time.Time
	for _, s := range stamps {
		if s.info != nil && s.info.ModTime().After(last) {
			last = s.info.ModTime()
		}
	}
	return last
}

// lockless is the name of SQLite's file layer that takes no locks.
func lockless() string {
	if runtime.GOOS == "windows" {
		return "win32-none"
	}
	return "unix-none"
}

// open begins the transaction and reads the schema, which fixes the snapshot.
func (s *snapshot) open(ctx context.Context, via string) (err error) {
	if s.db, err = sql.Open("sqlite", dsn(s.path, via)); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	if via != viaLocks {
		if err := keepWAL(ctx, s.db); err != nil {
			return err
		}
	}
	if s.Tx, err = s.db.BeginTx(ctx, nil); err != nil {
		return err
	}
	s.schema, err = readSchema(ctx, s.Tx)
	return err
}

// keepWAL keeps SQLite from removing the WAL when the database is closed. Without
// locks it would believe to be the last to leave, and a WAL in which it has found
// no commit would go, be it that a writer has begun to use it since.
func keepWAL(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		_, err := driver.(sqlite.FileControl).FileControlPersistWAL("main", 1)
		return err
	})
}

// isGone reports that SQLite did not find a file that it needed, or an index of
// the WAL that it could not use.
func isGone(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code()&0xff == sqlite3.SQLITE_CANTOPEN ||
		e.Code() == sqlite3.SQLITE_READONLY_CANTLOCK || e.Code() == sqlite3.SQLITE_READONLY_CANTINIT
}

// check returns errStale when the files have changed, so that what was read may
// be torn.
func (s *snapshot) check() error {
	for _, before := range s.watched {
		now, err := stampOf(before.path)
		if err != nil {
			return wrapErr(err, "read", before.path)
		}
		if !before.same(now) {
			return errStale
		}
	}
	return nil
}

// Close ends the snapshot.
func (s *snapshot) Close() error {
	if s.Tx != nil {
		_ = s.Rollback() // nothing was written
	}
	if s.release != nil {
		defer s.release()
	}
	switch {
	case s.db == nil:
		return nil
	case s.release == nil:
		return closeLockless(s.path, s.db)
	default:
		return s.db.Close()
	}
}

// read calls do with a snapshot of the project and again, with a fresh one, when
// the files changed meanwhile. What do returns, or leaves behind, counts only
// when read returns nil.
func (b *Backend) read(ctx context.Context, project string, do func(*snapshot) error) error {
	for try := 1; ; try++ {
		err := b.readOnce(ctx, project, try == readTries, do)
		if !errors.Is(err, errStale) {
			return cause(ctx, err)
		}
		if try == readTries {
			return errChanging(b.db(project))
		}
	}
}

func (b *Backend) readOnce(ctx context.Context, project string, locks bool, do func(*snapshot) error) error {
	s, err := b.openReadVia(ctx, project, locks)
	if err != nil {
		return err
	}
	defer s.Close()
	err = do(s)
	if stale := s.check(); stale != nil {
		return stale // whatever do found, it may have been torn
	}
	return located(takenAway(err, s.path), s.path)
}

// located is wrapErr for what was read from a database; damage that was found in
// its content is told with the name of the file.
func located(err error, path string) error {
	var known *trackio.Error
	if errors.As(err, &known) && known.Kind == trackio.ErrDataLoss && !strings.Contains(known.Message, path) {
		return trackio.Errorf(trackio.ErrDataLoss, "%s: %w", path, err)
	}
	return wrapErr(err, "read", path)
}

func errChanging(path string) error {
	return trackio.Errorf(trackio.ErrConflict, "%s changed while it was read", path).WithHint("try again")
}

// cause replaces a cancellation by its reason: that the backend was closed.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errClosed) {
		return errClosed
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // SQLite reports an interrupted statement its own way
	}
	return err
}
