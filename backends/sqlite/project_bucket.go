package sqlite

import "context"

// The objects of a project that is deleted are those to which the rows refer of
// the database that was taken away. Others under its name are left alone: they may
// be a project's of that name in another directory that uses the bucket, or of an
// import that is under way, or no media of Trackio at all.

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
	})
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
