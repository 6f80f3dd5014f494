package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/trackio-go/trackio/trackio"
)

// media sends the files that the rows refer to, in byte order of their paths.
// Only a file that is definitely not there is missing: any other error ends the
// stream. The media directory is its boundary, also for symbolic links.
func (e *exporter) media() error {
	files := e.refs.files()
	if len(files) == 0 {
		return nil
	}
	root, err := os.OpenRoot(e.b.layout.media())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		root = nil // all are missing
	case err != nil:
		return wrapErr(err, "open the media directory", e.b.layout.media())
	default:
		defer root.Close()
	}
	missing := false
	for _, file := range files {
		m, body, err := e.openMedia(root, file)
		if err != nil {
			return err
		}
		missing = missing || m.Missing
		err = e.send(m)
		if body != nil {
			_ = body.Close() // read only
		}
		if err != nil {
			return err
		}
	}
	if !missing {
		return nil
	}
	// A file that is not there may have gone with its run.
	return e.open(e.unchanged)
}

// openMedia returns the record of a file, and the file when it is open still.
func (e *exporter) openMedia(root *os.Root, file refFile) (*trackio.Media, io.Closer, error) {
	f, size, err := openRef(root, file.Path)
	if err != nil {
		return nil, nil, wrapErr(err, "read the media file", filepath.Join(e.b.layout.media(), filepath.FromSlash(file.Path)))
	}
	if f == nil {
		return &trackio.Media{Path: file.Rel, Missing: true}, nil, nil
	}
	m := &trackio.Media{Path: file.Rel, Size: size}
	body := &wholeFile{ctx: e.ctx, file: f, left: size}
	if !e.opts.NoBodies {
		m.Body = body
		return m, f, nil
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		return nil, nil, err
	}
	m.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return m, nil, nil
}

// openRef opens the file that a file_path refers to; nil without an error means
// that it is definitely not there. A backslash is a separator when Windows wrote
// it and part of a name elsewhere: the text is tried as it stands first.
func openRef(root *os.Root, filePath string) (*os.File, int64, error) {
	if root == nil {
		return nil, 0, nil
	}
	tries := []string{filePath}
	if runtime.GOOS != "windows" && strings.Contains(filePath, `\`) {
		tries = append(tries, slashed(filePath))
	}
	for _, name := range tries {
		name = filepath.FromSlash(name)
		info, err := root.Stat(name)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return nil, 0, refError(root, name, err)
		}
		if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
			return nil, 0, trackio.Errorf(trackio.ErrDataLoss, "media file %s is not a regular file", filepath.Join(root.Name(), name))
		}
		f, err := root.Open(name)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return nil, 0, refError(root, name, err)
		}
		if info, err = f.Stat(); err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, info.Size(), nil
	}
	return nil, 0, nil
}

// isAbsent reports an error that says for certain that there is no such file: a
// name too long for the file system can be nobody's.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// refError explains a link that leads out of the media directory.
func refError(root *os.Root, name string, err error) error {
	var known syscall.Errno
	if errors.As(err, &known) {
		return err
	}
	return trackio.Errorf(trackio.ErrPermission, "media file %s leads out of the media directory: %w", filepath.Join(root.Name(), name), err).
		WithHint("replace the symbolic link by the file, or make the whole media directory a link")
}

// wholeFile reads a file of a known size. One that ends early is an error: it
// was being written, or is damaged.
type wholeFile struct {
	ctx  context.Context
	file *os.File
	left int64
}

func (w *wholeFile) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, cause(w.ctx, err)
	}
	if w.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > w.left {
		p = p[:w.left]
	}
	n, err := w.file.Read(p)
	w.left -= int64(n)
	switch {
	case err == nil || err == io.EOF && w.left == 0:
		return n, nil
	case err == io.EOF:
		return n, trackio.Errorf(trackio.ErrDataLoss, "media file %s became shorter while it was read", w.file.Name())
	}
	return n, wrapErr(err, "read the media file", w.file.Name())
}
