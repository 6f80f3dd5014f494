package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// mediaChange is what one operation does with the files of a run in one place:
// the media directory ([placing]) or a bucket ([bucketChange]). Each place moves
// what it has of a run, and knows nothing of the other.
type mediaChange interface {
	// place gives the files their new names, durably and beside the old ones. It
	// never replaces what is there. errMovedOn says that the plan holds no more.
	place(ctx context.Context) error
	// check returns errMovedOn when a placed file is gone. The target's lock is
	// held meanwhile, so it must not use the network.
	check() error
	// undo removes the names that place has made.
	undo(ctx context.Context) error
}

// mediaChanges are the changes of all places.
type mediaChanges []mediaChange

func (all mediaChanges) place(ctx context.Context) error {
	for _, c := range all {
		if err := c.place(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (all mediaChanges) check() error {
	for _, c := range all {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

func (all mediaChanges) undo(ctx context.Context) error {
	var failed error
	for _, c := range all {
		failed = errors.Join(failed, c.undo(ctx))
	}
	return failed
}

// opBucket is the part of an operation that is in a bucket.
type opBucket struct {
	Name string `json:"name"` // which bucket: see bucketName
	// Dir is where the operation puts its new files. It is named after the
	// operation, so nobody else puts anything there, and everything in it that no
	// row refers to was made by the operation and may go.
	Dir   string   `json:"dir,omitempty"`
	Files []opFile `json:"files,omitempty"`
	// Done says how the operation has ended of which this is the clean-up.
	Done bool `json:"done,omitempty"`
}

// newOpBucket describes the part of an operation in the backend's bucket.
func (b *Backend) newOpBucket(op *operation) *opBucket {
	part := &opBucket{Name: b.bucket.name}
	if op.Target != "" {
		part.Dir = joinPrivate("", op.Target, op.NewID, op.ID)
	}
	return part
}

// bucketChange gives objects new names by copying them, each in one piece, within
// the bucket. A store does not refuse to overwrite by a copy, so the new names
// are in a directory that is the operation's alone. That is also why nobody can
// have taken a new name away, or made it.
type bucketChange struct {
	store objects
	part  *opBucket
}

func (c *bucketChange) place(ctx context.Context) error {
	return each(ctx, c.part.Files, func(ctx context.Context, f opFile) error {
		err := c.store.Copy(ctx, f.From, f.To, bucket.ContentType(f.To))
		if errors.Is(err, trackio.ErrNotFound) {
			return errMovedOn // it was there when the move was planned
		}
		return err
	})
}

func (*bucketChange) check() error { return nil }

func (c *bucketChange) undo(ctx context.Context) error {
	return clearObjects(ctx, c.store, c.part.Dir, nil)
}

// clearObjects deletes what is below a directory, but for what is used.
func clearObjects(ctx context.Context, store objects, dir string, used map[string]bool) error {
	return deleteKeys(ctx, store, func(yield func(string, error) bool) {
		for entry, err := range store.List(ctx, dir+"/") {
			if (err != nil || !used[cleanRef(entry.Key)]) && !yield(entry.Key, err) {
				return
			}
		}
	})
}

// each calls do for several items at once and returns the first error.
func each[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	group, call := errgroup.WithContext(ctx)
	group.SetLimit(copiesAtOnce)
	for _, item := range items {
		if call.Err() != nil {
			break
		}
		group.Go(func() error { return do(call, item) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// planMove decides where the run's files go in the project of a target, and
// which reference becomes which. A place that is taken already, by a file of
// another run, is avoided: nothing is ever overwritten. With a bucket every place
// is in the operation's own directory, on the disk too: a file that another run
// has on the disk must not be hidden by one in the bucket.
func (b *Backend) planMove(ctx context.Context, m *runMedia, tree *mediaTree, name string, op *operation) (mediaChanges, map[string]string, error) {
	to := map[string]string{} // by path in the stream
	for _, f := range m.refs.files() {
		to[f.Rel] = joinRef(f.Rel, op.Target, name)
		if b.bucket != nil || tree.exists(to[f.Rel]) {
			to[f.Rel] = joinPrivate(f.Rel, op.Target, op.NewID, op.ID)
		}
	}
	texts := make(map[string]string, len(m.texts))
	for text, rel := range m.texts {
		texts[text] = to[rel]
	}
	var err error
	if op.Files, err = m.filesIn(tree, to); err != nil {
		return nil, nil, err
	}
	changes := mediaChanges{&placing{tree: tree, source: tree, files: op.Files}}
	if b.bucket == nil || len(to) == 0 {
		return changes, texts, nil
	}
	store, err := b.bucket.writing(ctx)
	if err != nil {
		return nil, nil, err
	}
	files, err := m.objectsIn(ctx, store, to)
	if err != nil {
		return nil, nil, err
	}
	if len(files) > 0 {
		op.Bucket = b.newOpBucket(op)
		op.Bucket.Files = files
		changes = append(changes, &bucketChange{store, op.Bucket})
	}
	return changes, texts, nil
}

// objectsIn lists the run's files that are in a bucket. A reference to a file
// that is gone stays one.
func (m *runMedia) objectsIn(ctx context.Context, store objects, to map[string]string) ([]opFile, error) {
	refs := m.refs.files()
	found := make([]opFile, len(refs))
	places := make([]int, len(refs))
	for i := range places {
		places[i] = i
	}
	err := each(ctx, places, func(ctx context.Context, i int) error {
		key, err := find(ctx, store, refs[i].Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found[i] = opFile{From: key, To: to[refs[i].Rel], Shared: m.shared[refs[i].Rel]}
		return err
	})
	if err != nil {
		return nil, err
	}
	files := found[:0]
	for _, f := range found {
		if f.From != "" {
			files = append(files, f)
		}
	}
	return files, nil
}

// planDelete lists the files that only this run refers to, wherever they are.
func (b *Backend) planDelete(ctx context.Context, m *runMedia, op *operation) error {
	if op.Files = m.onlyOwn(); b.bucket == nil || len(op.Files) == 0 {
		return nil
	}
	store, err := b.bucket.writing(ctx)
	if err != nil {
		return err
	}
	// Where nothing can be read nothing is deleted, and the run keeps its rows.
	if _, err := find(ctx, store, op.Files[0].From); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	op.Bucket = b.newOpBucket(op)
	for _, f := range m.refs.files() {
		if !m.shared[f.Rel] {
			for _, key := range keysOf(f.Path) {
				op.Bucket.Files = append(op.Bucket.Files, opFile{From: key})
			}
		}
	}
	return nil
}

// bucketOf opens the bucket of an interrupted operation. It is only ever the one
// that is configured: a journal alone makes nobody delete in a bucket.
func (b *Backend) bucketOf(ctx context.Context, op *operation) (objects, error) {
	if b.bucket == nil || b.bucket.name != op.Bucket.Name {
		now := "media lie on the disk now"
		if b.bucket != nil {
			now = "media is " + b.bucket.name + " now"
		}
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s: its media are in %s, and %s; nothing there was touched", op, op.Bucket.Name, now).
			WithHint("set media to that bucket again and run `trackio doctor --fix`")
	}
	return b.bucket.writing(ctx)
}

// oldKeys are the objects that an operation took from a run, but for those that
// are used.
func oldKeys(op *operation, used map[string]bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, f := range op.Bucket.Files {
			if !f.Shared && !used[cleanRef(f.From)] && !yield(f.From, nil) {
				return
			}
		}
	}
}

// cleanUpLater leaves the rest of an operation, whose rows are settled, to the
// next change. From here on the journal is about objects alone: the run may come
// back, and its readers must not take it for one that is on its way.
func (b *Backend) cleanUpLater(op *operation, done bool) {
	if op.Bucket != nil && op.Kind != opDeleteProject {
		op.Kind, op.Files, op.Bucket.Done = opCleanUp, nil, done
		_ = b.journal(op) // without it the rows are looked at again
	}
	op.abandon()
}
