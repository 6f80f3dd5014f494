package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// operation is the journal of one change that touches more than one file. It is
// written before the first of them is touched and removed after the last; until
// then its owner holds a lock on it. An operation whose lock is free was
// interrupted, and recovery decides by what it finds in the databases: the
// journal says what was meant, never how far it went.
type operation struct {
	Version int       `json:"version"` // operationVersion or bucketVersion
	ID      string    `json:"id"`
	Kind    opKind    `json:"kind"`
	Started time.Time `json:"started"`

	Source   string `json:"source,omitempty"` // project; empty for an import
	RunID    string `json:"run_id,omitempty"` // in the source
	RunName  string `json:"run_name"`
	Revision string `json:"revision,omitempty"` // of the run in the source

	Target string    `json:"target,omitempty"` // project; empty for a deletion
	NewID  string    `json:"new_id,omitempty"` // in the target
	Rows   rowCounts `json:"rows,omitempty"`   // by table, in the source
	Files  []opFile  `json:"files,omitempty"`
	// Bucket is the part in a bucket; Files are always on the disk.
	Bucket *opBucket `json:"bucket,omitempty"`
	// Alone: no other run has the name, so directories that get empty may go.
	Alone bool `json:"alone,omitempty"`

	journal string // path of the file
	lock    *fileLock
}

const (
	operationVersion = 1
	bucketVersion    = 2 // of an operation that has a part in a bucket
	journalExt       = ".json"
)

// opKind says what an operation does.
type opKind string

const (
	opMove          opKind = "move"
	opDelete        opKind = "delete"
	opImport        opKind = "import"
	opDeleteProject opKind = "delete-project"
	opCleanUp       opKind = "clean-up" // of objects, after any other: see cleanUpLater
)

// opFile is one media file of an operation; paths are slash-separated, relative
// to the media directory.
type opFile struct {
	From string `json:"from,omitempty"` // where it lies, or for an import its name in the staging directory
	To   string `json:"to,omitempty"`   // where it goes; empty for a deletion
	// Shared: another run refers to From too, so it stays there.
	Shared bool `json:"shared,omitempty"`
}

// newOperation returns an operation with an id of its own.
func (b *Backend) newOperation(kind opKind) *operation {
	return &operation{Version: operationVersion, ID: strings.ToLower(rand.Text()), Kind: kind, Started: b.now().UTC()}
}

// own takes the lock of an operation that is about to begin, so that what is
// prepared under its id is left alone by others.
func (b *Backend) own(op *operation) (err error) {
	dir := b.ops()
	if err := makeDirs(b.dir, dir); err != nil {
		return wrapErr(err, "create the directory for operations", dir)
	}
	op.journal = filepath.Join(dir, op.ID+journalExt)
	op.lock, err = tryLockFile(op.lockPath())
	return wrapErr(err, "lock the operation in", dir)
}

// begin makes the operation known. It is locked before it has a journal, and the
// journal is whole and durable before it has its name, so that nobody ever sees
// an operation of a living process unlocked, or half of one.
func (b *Backend) begin(op *operation) error {
	if op.lock == nil {
		if err := b.own(op); err != nil {
			return err
		}
	}
	if err := b.journal(op); err != nil {
		return errors.Join(err, b.end(op))
	}
	return nil
}

// journal writes the operation down, in place of what was written before.
func (b *Backend) journal(op *operation) error {
	if op.Bucket != nil {
		op.Version = bucketVersion // older programs must leave it alone
	}
	data, err := json.MarshalIndent(op, "", " ")
	if err != nil {
		return trackio.Errorf(trackio.ErrInvalid, "operation cannot be written down: %w", err)
	}
	return wrapErr(writeJournal(op.journal, data), "write down the operation in", b.ops())
}

func writeJournal(path string, data []byte) error {
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// stagingOf is the directory in which an operation prepares what is not visible
// yet. It exists only when something is in it.
func (b *Backend) stagingOf(op *operation) string { return filepath.Join(b.staging(), op.ID) }

// end removes the journal: the operation is complete, or undone.
func (b *Backend) end(op *operation) error {
	_ = os.RemoveAll(b.stagingOf(op)) // what is left of it is swept by later changes
	err := os.Remove(op.journal)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(op.lockPath())
		err = nil
	}
	op.lock.release()
	if err != nil {
		return wrapErr(err, "remove the journal of an operation", op.journal)
	}
	return nil
}

// unsettled returns the error of a change that met err, when left kept it from
// being finished or undone at once; nil for left leaves err as it is.
func (op *operation) unsettled(err, left error) error {
	kind := trackio.KindOf(err)
	if left == nil || kind == nil {
		return errors.Join(err, left)
	}
	return trackio.Errorf(kind, "%s and is not settled yet: %w", op, errors.Join(err, left)).
		WithHint("put right what stood in its way, then run `trackio doctor --fix`, which finishes or undoes it, as the next change does")
}

// ended returns the error of a change that met err after its transaction was
// begun: it looks at what has become of it. A commit whose outcome was not known
// may have happened after all, and then the change is finished and no error.
func (b *Backend) ended(ctx context.Context, op *operation, err error) error {
	switch done, left := b.settle(ctx, op); {
	case !done:
		return op.unsettled(err, left)
	case left != nil:
		noteLeft(ctx, op, left)
	}
	return nil
}

// giveUp ends an operation that met err before its transaction was begun.
func (b *Backend) giveUp(ctx context.Context, op *operation, media mediaChange, err error) error {
	if left := media.undo(context.WithoutCancel(ctx)); left != nil {
		b.cleanUpLater(op, false)
		return op.unsettled(err, left)
	}
	return errors.Join(err, b.end(op))
}

// noteLeft tells the caller of a change that has happened what is left of it.
func noteLeft(ctx context.Context, op *operation, left error) {
	trackio.Note(ctx, "%s; it has happened, and files that are left will be removed by a later change: %v", op, left)
}

// abandon leaves the journal where it is, for recovery to take up.
func (op *operation) abandon() { op.lock.release() }

func (op *operation) lockPath() string { return strings.TrimSuffix(op.journal, journalExt) + ".lock" }

// journals lists the files of the operations in the store, owned or not.
func (b *Backend) journals() ([]string, error) {
	entries, err := os.ReadDir(b.ops())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrapErr(err, "read the directory of operations", b.ops())
	}
	var paths []string
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == journalExt {
			paths = append(paths, filepath.Join(b.ops(), entry.Name()))
		}
	}
	return paths, nil
}

// operations reads the journals that lie in the store, owned or not.
func (b *Backend) operations() ([]*operation, error) {
	paths, err := b.journals()
	if err != nil {
		return nil, err
	}
	var ops []*operation
	for _, path := range paths {
		op, err := readOperation(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func readOperation(path string) (*operation, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	op := &operation{journal: path}
	if err := json.Unmarshal(data, op); err != nil {
		return nil, trackio.Errorf(trackio.ErrDataLoss, "journal of an operation %s cannot be read: %w", path, err).
			WithHint("it was not written by this program; look at it, and move it away if it is not needed")
	}
	if op.Version < operationVersion || op.Version > bucketVersion {
		return nil, trackio.Errorf(errors.ErrUnsupported, "operation %s was begun by another version of this program (format %d, this one knows %d to %d)",
			path, op.Version, operationVersion, bucketVersion).WithHint("finish it with the version that began it")
	}
	return op, nil
}

// adopt takes the lock of an interrupted operation, so that one process
// recovers it. It reports false when the operation is under way or has ended.
func (op *operation) adopt() (bool, error) {
	lock, err := tryLockFile(op.lockPath())
	if errors.Is(err, errLocked) {
		return false, nil
	}
	if err != nil {
		return false, wrapErr(err, "lock the operation", op.lockPath())
	}
	_, err = os.Stat(op.journal)
	if err == nil {
		op.lock = lock
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) { // it ended before we had the lock
		_ = os.Remove(op.lockPath())
		err = nil
	}
	lock.release()
	return false, wrapErr(err, "read the journal", op.journal)
}
