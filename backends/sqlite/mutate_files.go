package sqlite

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// mediaTree changes files below one directory and nowhere else: links in it that
// lead outside are not followed. Paths are slash-separated and relative.
type mediaTree struct {
	root  *os.Root
	dirty map[string]bool // directories with entries that are not durable yet
}

// openMediaTree opens the directory at dir, which is created if need be.
func openMediaTree(storeDir, dir string) (*mediaTree, error) {
	if err := makeDirs(storeDir, dir); err != nil {
		return nil, wrapErr(err, "create the media directory", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, wrapErr(err, "open the media directory", dir)
	}
	return &mediaTree{root: root, dirty: map[string]bool{}}, nil
}

func (m *mediaTree) close() { _ = m.root.Close() }

// exists reports whether something has that name.
func (m *mediaTree) exists(name string) bool {
	_, err := m.root.Lstat(filepath.FromSlash(name))
	return err == nil
}

// place gives the file at from (below source) the name to as well, by a hard
// link or, where that cannot be, by a copy. It never overwrites: a file of that
// name, whosever it is, is fs.ErrExist.
func (m *mediaTree) place(ctx context.Context, source *mediaTree, from, to string) error {
	info, err := source.root.Lstat(filepath.FromSlash(from))
	if err != nil {
		return wrapErr(err, "read media file", from)
	}
	for try := 1; ; try++ {
		if err := m.makeParents(to); err != nil {
			return wrapErr(err, "create the directories of media file", to)
		}
		err := errNoLink
		if info.Mode().IsRegular() {
			err = linkAcross(source.root, m.root, filepath.FromSlash(from), filepath.FromSlash(to))
		}
		switch {
		case err == nil, errors.Is(err, fs.ErrExist):
			return err
		case errors.Is(err, fs.ErrNotExist) && try < placeTries:
			// Another process found the directory empty and removed it.
			delete(m.dirty, path.Dir(to))
			continue
		}
		return m.copy(ctx, source, from, to)
	}
}

const placeTries = 10

var errNoLink = errors.New("no hard link to what is not a regular file")

// linkAcross makes a hard link between two trees. Only within one tree can it be
// made without names that others could redirect meanwhile.
func linkAcross(source, target *os.Root, from, to string) error {
	if source == target {
		return target.Link(from, to)
	}
	return os.Link(filepath.Join(source.Name(), from), filepath.Join(target.Name(), to))
}

// copy copies a file, makes it durable, and reads it back to compare.
func (m *mediaTree) copy(ctx context.Context, source *mediaTree, from, to string) (err error) {
	in, err := source.root.Open(filepath.FromSlash(from))
	if err != nil {
		return wrapErr(err, "read media file", from)
	}
	defer in.Close()
	written, err := m.write(ctx, to, in)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = m.root.Remove(filepath.FromSlash(to)) // made here, and by nobody else
		}
	}()
	back, err := m.root.Open(filepath.FromSlash(to))
	if err != nil {
		return wrapErr(err, "read media file", to)
	}
	defer back.Close()
	check := sha256.New()
	if _, err := io.Copy(check, back); err != nil {
		return wrapErr(err, "read back media file", to)
	}
	if !slices.Equal(written.Sum(nil), check.Sum(nil)) {
		return trackio.Errorf(trackio.ErrDataLoss, "media file %q differs from %q after copying", to, from).
			WithHint("the disk may be failing; nothing was removed")
	}
	return nil
}

// write creates a file from r and makes it durable. It returns the hash of what
// it wrote. A file that could not be written whole is removed.
func (m *mediaTree) write(ctx context.Context, name string, r io.Reader) (hash.Hash, error) {
	out, err := m.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err != nil {
		return nil, wrapErr(err, "create media file", name)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), contextReader{ctx, r})
	err = errors.Join(err, out.Sync(), out.Close())
	if err != nil {
		_ = m.root.Remove(filepath.FromSlash(name))
		return nil, wrapErr(err, "write media file", name)
	}
	return sum, nil
}

// makeParents creates the directories above a name and remembers them for sync.
func (m *mediaTree) makeParents(name string) error {
	dir := path.Dir(name)
	if dir == "." || m.dirty[dir] {
		return nil
	}
	m.dirty[dir] = true
	for d := dir; d != "."; d = path.Dir(d) {
		if info, err := m.root.Lstat(filepath.FromSlash(d)); err == nil && info.IsDir() {
			break
		}
		m.dirty[path.Dir(d)] = true
	}
	return m.root.MkdirAll(filepath.FromSlash(dir), 0o777)
}

// sync makes all new names durable.
func (m *mediaTree) sync() error {
	if runtime.GOOS == "windows" {
		clear(m.dirty)
		return nil
	}
	for dir := range m.dirty {
		d, err := m.root.Open(filepath.FromSlash(dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue // made for a file whose place was taken, and removed again
		}
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err != nil {
			return wrapErr(err, "sync media directory", dir)
		}
	}
	clear(m.dirty)
	return nil
}

// remove unlinks a file; one that is gone already is fine.
func (m *mediaTree) remove(name string) error {
	if err := m.root.Remove(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrapErr(err, "remove media file", name)
	}
	return nil
}

// prune removes the directories above a removed file that are empty now, up to
// but without the project's own. A training process creates the directory of a
// step just before the file in it, so only directories that held this file are
// tried, never the project's, which every run of it needs.
func (m *mediaTree) prune(name string) {
	for dir := path.Dir(name); strings.Contains(dir, "/"); dir = path.Dir(dir) {
		if err := m.root.Remove(filepath.FromSlash(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// contextReader fails when its context has ended, so that long copies stop.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// placing is the change of files on the disk: it links or copies them to their
// new names in a tree.
type placing struct {
	tree   *mediaTree
	source *mediaTree // where they are now
	files  []opFile
	made   []string // by this process, in this call
}

// place implements [mediaChange]. A name that was free when the operation was
// planned and is taken now is errMovedOn.
func (p *placing) place(ctx context.Context) error {
	for _, f := range p.files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		err := p.tree.place(ctx, p.source, f.From, f.To)
		if errors.Is(err, fs.ErrExist) {
			return errMovedOn
		}
		if err != nil {
			p.tree.prune(f.To) // directories may have been made for it
			return err
		}
		p.made = append(p.made, f.To)
	}
	return p.tree.sync()
}

// check implements [mediaChange]. The recovery of another operation on the same
// run may have taken a file for its own; it holds the target's lock meanwhile, so
// the answer holds until that is released.
func (p *placing) check() error {
	for _, name := range p.made {
		if !p.tree.exists(name) {
			return errMovedOn
		}
	}
	return nil
}

// undo implements [mediaChange]. It removes what this process made, and nothing
// else.
func (p *placing) undo(context.Context) error {
	var failed error
	for _, name := range p.made {
		if err := p.tree.remove(name); err != nil {
			failed = err
		} else {
			p.tree.prune(name)
		}
	}
	p.made = nil
	return failed
}
