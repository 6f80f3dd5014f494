package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// The objects of a project that is deleted are listed before it is taken away,
// and deleted afterwards: a project of that name that is created meanwhile has
// objects of its own, and they must stay. They are those on the list and those
// that the rows of the database refer to that was taken away.

func (b *Backend) projectList(op *operation) string {
	return filepath.Join(b.stagingOf(op), "objects.jsonl")
}

// listProjectObjects writes down, one JSON string a line, the keys of all objects
// under the project's name, but for those of operations that are under way: they
// may come to be part of another project of the name.
func (b *Backend) listProjectObjects(ctx context.Context, op *operation) (err error) {
	if op.Bucket == nil {
		return nil
	}
	store, err := b.bucketOf(ctx, op)
	if err != nil {
		return err
	}
	if err := makeDirs(b.dir, b.stagingOf(op)); err != nil {
		return wrapErr(err, "create the directory", b.stagingOf(op))
	}
	f, err := os.OpenFile(b.projectList(op), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return wrapErr(err, "create", b.projectList(op))
	}
	w := bufio.NewWriter(f)
	lines := json.NewEncoder(w)
	for entry, listErr := range store.List(ctx, op.Source+"/") {
		if listErr != nil {
			return errors.Join(listErr, f.Close())
		}
		if err = lines.Encode(entry.Key); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return wrapErr(err, "write", b.projectList(op))
	}
	// An operation that has put an object on the list and is not under way any
	// more has ended in the database that is about to be taken away.
	ops, err := b.operations()
	if err != nil {
		return err
	}
	for _, other := range ops {
		if other.Bucket != nil && other.ID != op.ID && strings.HasPrefix(other.Bucket.Dir, op.Source+"/") {
			op.Bucket.Spared = append(op.Bucket.Spared, other.Bucket.Dir)
		}
	}
	if len(op.Bucket.Spared) > 0 {
		return b.journal(op)
	}
	return nil
}

// removeProjectObjects deletes the objects of a project that was taken away, but
// for those that a project of its name uses now.
func (b *Backend) removeProjectObjects(ctx context.Context, store objects, op *operation, used map[string]bool) error {
	referred, err := b.referredByStaged(ctx, op)
	if err != nil {
		return err
	}
	return deleteKeys(ctx, store, func(yield func(string, error) bool) {
		for key := range referred {
			if !used[cleanRef(key)] && !yield(key, nil) {
				return
			}
		}
		for key, err := range readKeys(b.projectList(op)) {
			if err == nil && (used[cleanRef(key)] || op.Bucket.spares(key)) {
				continue
			}
			if !yield(key, err) {
				return
			}
		}
	})
}

// spares reports whether a key lies in the directory of an operation that was
// under way when the project was deleted.
func (p *opBucket) spares(key string) bool {
	for _, dir := range p.Spared {
		if strings.HasPrefix(key, dir+"/") {
			return true
		}
	}
	return false
}

// referredByStaged are the keys of the files, under its own name, to which the
// rows of a project refer that was taken away.
func (b *Backend) referredByStaged(ctx context.Context, op *operation) (map[string]bool, error) {
	w, err := b.openWriter(ctx, b.stagedProject(op), false)
	if err != nil {
		return nil, err
	}
	defer w.close()
	ids, err := runIDs(ctx, w, w.schema)
	if err != nil {
		return nil, wrapErr(err, "read", w.path)
	}
	keys := map[string]bool{}
	for _, id := range ids {
		err := eachReference(ctx, w, w.schema, id, func(text string) {
			if _, own := splitRef(text, op.Source, ""); own {
				for _, key := range keysOf(text) {
					keys[key] = true
				}
			}
		})
		if err != nil {
			return nil, wrapErr(err, "read", w.path)
		}
	}
	return keys, nil
}

// readKeys reads the JSON strings of a file; one that is not there has none.
func readKeys(path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield("", wrapErr(err, "read", path))
			return
		}
		defer f.Close()
		for lines := json.NewDecoder(bufio.NewReader(f)); ; {
			var line string
			err := lines.Decode(&line)
			if err == io.EOF || !yield(line, wrapErr(err, "read", path)) || err != nil {
				return
			}
		}
	}
}
