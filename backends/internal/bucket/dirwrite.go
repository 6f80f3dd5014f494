package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// errTaken: a name is needed for a directory and a file at once.
var errTaken = errors.New("the name stands for a file and a directory")

func (d *directory) write(ctx context.Context, key string, body []byte, _ string, onlyNew bool) error {
	return d.save(ctx, key, bytes.NewReader(body), onlyNew)
}

func (d *directory) upload(ctx context.Context, key string, r io.Reader, _ int64, _ string) error {
	return d.save(ctx, key, r, false)
}

// save writes a temporary file and gives it its name when it is whole.
func (d *directory) save(ctx context.Context, key string, r io.Reader, onlyNew bool) error {
	name, err := d.file(key)
	if err != nil {
		return err
	}
	if onlyNew { // spares the write; the link below decides
		if _, err := d.root.Lstat(name); err == nil {
			return fs.ErrExist
		}
	}
	temp, err := d.temporary(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = d.root.Remove(temp) }()
	for try := 0; ; try++ {
		if err = d.makeParents(name); err == nil {
			err = d.name(temp, name, onlyNew)
		}
		// A delete may take the empty directory away in between.
		if !errors.Is(err, fs.ErrNotExist) || try == 100 {
			break
		}
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY):
		return errors.Join(errTaken, err)
	case err != nil:
		return err
	}
	return d.sync(filepath.Dir(name))
}

// temporary writes a synced file of no name that counts.
func (d *directory) temporary(ctx context.Context, r io.Reader) (name string, err error) {
	name = filepath.Join(tempDir, fmt.Sprintf("%016x", rand.Uint64()))
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.root.Mkdir(tempDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		f, err = d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	}
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = d.root.Remove(name)
		}
	}()
	if _, err := io.Copy(f, &contextReader{ctx, r}); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return name, f.Close()
}

// naming makes "look, then rename" one step within the process.
var naming sync.Mutex

// name gives a file its name, over another file's unless onlyNew.
func (d *directory) name(temp, name string, onlyNew bool) error {
	if !onlyNew {
		return d.root.Rename(temp, name)
	}
	err := d.root.Link(temp, name)
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	// A file system without hard links. The lock keeps other processes out.
	if d.bound {
		return errors.Join(errors.ErrUnsupported, err)
	}
	naming.Lock()
	defer naming.Unlock()
	if _, err := d.root.Lstat(name); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.root.Rename(temp, name)
}

// makeParents makes the directories above a file, and syncs them.
func (d *directory) makeParents(name string) error {
	dir := filepath.Dir(name)
	if dir == "." {
		return nil
	}
	if info, err := d.root.Stat(dir); err == nil {
		if !info.IsDir() {
			return errTaken
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.makeParents(dir); err != nil {
		return err
	}
	if err := d.root.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.sync(filepath.Dir(dir))
}

// sweep removes the temporary files of writers that were killed.
func (d *directory) sweep() {
	f, err := d.root.Open(tempDir)
	if err != nil {
		return
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		name = filepath.Join(tempDir, name)
		if info, err := d.root.Lstat(name); err == nil && time.Since(info.ModTime()) > staleTemp*time.Second {
			_ = d.root.Remove(name)
		}
	}
}
