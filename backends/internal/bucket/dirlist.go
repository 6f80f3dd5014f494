package bucket

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// list walks the disk, sorting each directory so that keys come in byte order:
// a directory stands where its keys do, which start with its name and a slash.
// Links and special files are no objects.
func (d *directory) list(ctx context.Context, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		dir, _ := path.Split(prefix)
		w := &walk{d: d, ctx: ctx, prefix: prefix, after: after, yield: yield}
		if dir == "" || keyProblem(strings.TrimSuffix(dir, "/")) == "" {
			w.below(dir)
		}
	}
}

type walk struct {
	d             *directory
	ctx           context.Context //nolint:containedctx // lives for one walk
	prefix, after string
	yield         func(Entry, error) bool
}

// below lists the keys under a directory, which is "" or ends in a slash, and
// reports whether to go on.
func (w *walk) below(dir string) bool {
	names, err := w.names(dir)
	if err != nil {
		w.yield(Entry{}, err)
		return false
	}
	for _, name := range names {
		key := dir + name
		if err := w.ctx.Err(); err != nil {
			w.yield(Entry{}, err)
			return false
		}
		if strings.HasSuffix(name, "/") {
			if key < w.after && !strings.HasPrefix(w.after, key) {
				continue // everything below comes before
			}
			if !w.below(key) {
				return false
			}
			continue
		}
		if key <= w.after {
			continue
		}
		a, err := w.d.stat(w.ctx, key)
		switch {
		case err != nil && isAbsent(err):
		case err != nil:
			w.yield(Entry{}, err)
			return false
		case !w.yield(Entry{Key: key, Size: a.Size, ModTime: a.ModTime}, nil):
			return false
		}
	}
	return true
}

// names returns what a directory has below the prefix, directories with a slash
// at the end, in byte order.
func (w *walk) names(dir string) ([]string, error) {
	name := "."
	if dir != "" {
		var err error
		if name, err = w.d.file(strings.TrimSuffix(dir, "/")); err != nil {
			return nil, nil // no file can have such a name
		}
		if info, err := w.d.root.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, nil
		}
	}
	f, err := w.d.root.Open(name)
	if isAbsent(err) && dir != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil && (dir == "" || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case dir == "" && strings.HasPrefix(name, private):
			continue
		case entry.IsDir():
			name += "/"
		case !entry.Type().IsRegular():
			continue
		}
		key := dir + name
		if strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
