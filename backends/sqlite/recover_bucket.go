package sqlite

import (
	"context"
	"errors"
	"io/fs"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

// settleObjects finishes or undoes what an operation has in a bucket, whose rows
// are settled. No lock is held. Doing it again does no harm.
func (b *Backend) settleObjects(ctx context.Context, op *operation, rest rest) error {
	if op.Bucket == nil || !rest.done && op.Bucket.Dir == "" {
		return nil // it has nothing there, or has not touched it
	}
	store, err := b.bucketOf(ctx, op)
	if err != nil {
		return err
	}
	switch {
	case op.Kind == opDeleteProject:
		return b.removeProjectObjects(ctx, store, op, rest.source)
	case rest.done:
		err = deleteKeys(ctx, store, oldKeys(op, rest.source))
	default:
		err = restoreObjects(ctx, store, op.Bucket.Files, rest.source)
	}
	if err != nil || op.Bucket.Dir == "" {
		return err
	}
	return clearObjects(ctx, store, op.Bucket.Dir, rest.target)
}

// restoreObjects gives the media of a run that did not move their old names back
// where another program has removed them meanwhile. As long as a row refers to
// the old name, the new one is not the last copy after this.
func restoreObjects(ctx context.Context, store objects, files []opFile, used map[string]bool) error {
	return each(ctx, files, func(ctx context.Context, f opFile) error {
		if !used[cleanRef(f.From)] {
			return nil
		}
		_, err := store.Stat(ctx, f.From)
		if err = absent(err); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err = store.Copy(ctx, f.To, f.From, bucket.ContentType(f.From)); errors.Is(err, trackio.ErrNotFound) {
			return nil // it was lost before it had its new name
		}
		return err
	})
}
