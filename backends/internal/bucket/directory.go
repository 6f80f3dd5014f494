package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/trackio-go/trackio/trackio"
)

// directory is a bucket on the local disk: an object is the file of its name.
//
// It is used instead of gocloud's fileblob, whose IfNotExist is not atomic,
// whose lists lose keys beyond a page, are not in byte order and show temporary
// files, and which follows symbolic links out of the directory. Everything here
// goes through [os.Root], so no name and no link reaches outside. Objects come
// into being whole, by link(2) or rename(2) of a synced file, and an answer is
// given when they would survive a power cut; so even two processes that share a
// directory ([Config.Shared]) see each other's objects whole, and one wins.
type directory struct {
	root  *os.Root
	path  string
	hold  *hold // nil when the directory is shared or only read
	bound bool  // shared with other processes: what is atomic only here is not allowed
}

// What the store itself keeps in its directory; no key may start like this.
const (
	private   = ".trackio-store-"
	tempDir   = private + "tmp"
	lockName  = private + "lock"
	dirMode   = 0o777 // less the umask
	staleTemp = 3600  // seconds after which a temporary file has no writer any more
)

// openDirectory opens the directory of a file:// URL. The options are those of
// gocloud: create_dir=true makes a missing one; no_tmp_dir and metadata say how
// gocloud lays out files and need no answer here.
func openDirectory(at *location) (store, error) {
	create, err := at.takeBool("create_dir")
	if err != nil {
		return nil, err
	}
	at.take("no_tmp_dir")
	at.take("metadata")
	if err := at.done(); err != nil {
		return nil, err
	}
	name := filepath.FromSlash(at.path)
	if runtime.GOOS == "windows" {
		name = strings.TrimPrefix(name, `\`)
	}
	switch at.host {
	case "", "localhost":
	case ".":
		name = "." + filepath.FromSlash(at.path)
	default:
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s: a directory's URL has three slashes, as in file:///data/runs", at.name())
	}
	if create != nil && *create && !at.ReadOnly {
		if err := os.MkdirAll(name, dirMode); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, (&trackio.Error{Kind: trackio.ErrNotFound, Message: fmt.Sprintf("open %s: there is no such directory", at.name()), Err: err}).
			WithHint("create it, or add create_dir=true to the URL")
	}
	if err != nil {
		return nil, err
	}
	d := &directory{root: root, path: name, bound: at.Shared}
	if !at.ReadOnly && !at.Shared {
		if d.hold, err = acquire(root, name); err != nil {
			_ = root.Close()
			return nil, err
		}
	}
	if !at.ReadOnly {
		d.sweep()
	}
	return d, nil
}

// file returns a key's path on the disk.
func (d *directory) file(key string) (string, error) {
	if strings.HasPrefix(key, private) {
		return "", trackio.Errorf(trackio.ErrInvalid, "%s: names starting with %s belong to the store itself", key, private)
	}
	name, err := filepath.Localize(key)
	if err != nil {
		return "", trackio.Errorf(trackio.ErrInvalid, "%s: this system has no files of such a name", key)
	}
	return name, nil
}

func (d *directory) ping(context.Context, string) error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadDir(1); err != nil && err != io.EOF {
		return err
	}
	return nil
}

func (d *directory) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	name, err := d.file(key)
	if err != nil {
		return nil, err
	}
	// What is no file is not opened: opening a pipe would wait for its writer.
	if info, err := d.root.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	left := max(0, info.Size()-offset)
	if length >= 0 {
		left = min(left, length)
	}
	if left == 0 {
		return http.NoBody, f.Close()
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	body := struct {
		io.Reader
		io.Closer
	}{&contextReader{ctx, io.LimitReader(f, left)}, f}
	return &wholeReader{ReadCloser: body, left: left}, nil
}

func (d *directory) stat(_ context.Context, key string) (Attributes, error) {
	name, err := d.file(key)
	if err != nil {
		return Attributes{}, err
	}
	info, err := d.root.Stat(name)
	if err != nil {
		return Attributes{}, err
	}
	if !info.Mode().IsRegular() {
		return Attributes{}, fs.ErrNotExist
	}
	return Attributes{Size: info.Size(), ModTime: info.ModTime()}, nil
}

// remove deletes files, and directories that are empty then.
func (d *directory) remove(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := d.file(key)
		if err != nil {
			return err
		}
		info, err := d.root.Lstat(name)
		if err == nil && info.IsDir() {
			continue // not an object
		}
		if err == nil {
			err = d.root.Remove(name)
		}
		if err != nil && !isAbsent(err) {
			return &keyError{key, err}
		}
		for parent := filepath.Dir(name); parent != "."; parent = filepath.Dir(parent) {
			if d.root.Remove(parent) != nil {
				break // not empty, or somebody else's business
			}
		}
	}
	return nil
}

func (d *directory) close() error {
	d.hold.release()
	return d.root.Close()
}

// isAbsent: there is no file, nor can there be one where a file stands for a directory.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func (d *directory) explain(err error) verdict { return explainDisk(err, d.path) }

func explainDisk(err error, name string) verdict {
	switch {
	case errors.Is(err, errTaken):
		return verdict{kind: trackio.ErrInvalid, text: "a directory, or a file for a directory, has the name already"}
	case isAbsent(err):
		return verdict{kind: trackio.ErrNotFound, text: "no such object", absent: true}
	case errors.Is(err, fs.ErrExist):
		return verdict{kind: trackio.ErrConflict, text: "another object is there", exists: true}
	case errors.Is(err, fs.ErrPermission):
		return verdict{kind: trackio.ErrPermission, text: "access denied", hint: "check who owns " + name + " and its files"}
	case errors.Is(err, syscall.EROFS):
		return verdict{kind: trackio.ErrPermission, text: "the file system is read-only", hint: "choose another directory, or only read"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return verdict{kind: trackio.ErrUnavailable, text: "the disk is full", hint: "make room and try again"}
	case errors.Is(err, errors.ErrUnsupported):
		return verdict{kind: errors.ErrUnsupported, text: "the file system cannot create files atomically", hint: "choose one with hard links"}
	case errors.Is(err, syscall.ENAMETOOLONG):
		return verdict{kind: trackio.ErrInvalid, text: "the name is too long for the file system"}
	}
	var outside *fs.PathError
	if errors.As(err, &outside) && strings.Contains(outside.Err.Error(), "escapes from parent") {
		return verdict{kind: trackio.ErrPermission, text: "a symbolic link leads out of the directory", hint: "replace the link by what it leads to"}
	}
	return verdict{kind: trackio.ErrUnavailable, text: "the disk failed: " + rootCause(err), hint: "check the disk"}
}

// rootCause is the text of the system's own error.
func rootCause(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return path.Base(err.Error())
}
