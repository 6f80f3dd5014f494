package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/trackio-go/trackio/trackio"
)

// A mediaSource is a place where media are looked for.
type mediaSource interface {
	// open opens the file that a file_path refers to. fs.ErrNotExist says that it
	// is definitely not there.
	open(ctx context.Context, filePath string) (*mediaFile, error)
	done()
}

// mediaFile is a file that is open for reading, once.
type mediaFile struct {
	io.Reader
	name  string
	size  int64
	small bool // all of it is in memory
	close func()
}

// mediaSources are looked through in their order: the bucket, if there is one,
// then the directory, where Python Trackio writes.
type mediaSources []mediaSource

func (b *Backend) mediaSources(ctx context.Context) (mediaSources, error) {
	var all mediaSources
	if b.bucket != nil {
		store, err := b.bucket.reading(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, bucketSource{store})
	}
	root, err := os.OpenRoot(b.media())
	switch {
	case errors.Is(err, fs.ErrNotExist): // nothing is there
	case err != nil:
		return nil, wrapErr(err, "open the media directory", b.media())
	default:
		all = append(all, treeSource{root})
	}
	return all, nil
}

func (all mediaSources) open(ctx context.Context, filePath string) (*mediaFile, error) {
	for _, s := range all {
		f, err := s.open(ctx, filePath)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, fs.ErrNotExist
}

func (all mediaSources) done() {
	for _, s := range all {
		s.done()
	}
}

// media sends the files that the rows refer to, in byte order of their paths.
// Only a file that is definitely nowhere is missing: any other error ends the
// stream. The media directory is its boundary, also for symbolic links.
func (e *exporter) media() error {
	files := e.refs.files()
	if len(files) == 0 {
		return nil
	}
	sources, err := e.b.mediaSources(e.ctx)
	if err != nil {
		return err
	}
	defer sources.done()
	missing := false
	for file, look := range e.ahead(sources, files) {
		m, body, err := look()
		if err == nil && m == nil { // it is too large to be held
			m, body, err = e.openMedia(e.ctx, sources, file)
		}
		if err != nil {
			return err
		}
		missing = missing || m.Missing
		err = e.send(m)
		if body != nil {
			body.close()
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

// looked is what a look at a file has found; nothing, for a file that is to be
// opened when its turn comes.
type looked func() (*trackio.Media, *mediaFile, error)

// ahead yields the files in order. From a bucket, where each costs a wait, several
// at once are read ahead: small ones, and those of which only the hash is wanted.
func (e *exporter) ahead(sources mediaSources, files []refFile) iter.Seq2[refFile, looked] {
	return func(yield func(refFile, looked) bool) {
		if e.b.bucket == nil {
			for _, file := range files {
				if !yield(file, func() (*trackio.Media, *mediaFile, error) { return nil, nil, nil }) {
					return
				}
			}
			return
		}
		ctx, cancel := context.WithCancel(e.ctx)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer cancel()
		queue := make(chan looked, mediaAtOnce) // a file stays in it until its turn
		started := 0
		start := func() {
			file := files[started]
			started++
			result := make(chan struct{})
			var m *trackio.Media
			var body *mediaFile
			var err error
			workers.Go(func() {
				defer close(result)
				m, body, err = e.openMedia(ctx, sources, file)
				if body != nil && !body.small {
					body.close()
					m, body = nil, nil
				}
			})
			queue <- func() (*trackio.Media, *mediaFile, error) {
				<-result
				return m, body, err
			}
		}
		for _, file := range files {
			for started < len(files) && len(queue) < mediaAtOnce {
				start()
			}
			if !yield(file, <-queue) {
				return
			}
		}
	}
}

// openMedia returns the record of a file, and the file when its body is to be
// read yet.
func (e *exporter) openMedia(ctx context.Context, sources mediaSources, file refFile) (*trackio.Media, *mediaFile, error) {
	f, err := sources.open(ctx, file.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return &trackio.Media{Path: file.Rel, Missing: true}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	m := &trackio.Media{Path: file.Rel, Size: f.size}
	body := &wholeFile{ctx: ctx, file: f, left: f.size}
	if !e.opts.NoBodies {
		m.Body = body
		return m, f, nil
	}
	defer f.close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		return nil, nil, err
	}
	m.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return m, nil, nil
}

// treeSource is the media directory, from which nothing leads out.
type treeSource struct{ root *os.Root }

// open implements [mediaSource].
func (t treeSource) open(_ context.Context, filePath string) (*mediaFile, error) {
	f, size, err := openRef(t.root, filePath)
	if err != nil {
		return nil, wrapErr(err, "read the media file", filepath.Join(t.root.Name(), filepath.FromSlash(filePath)))
	}
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return &mediaFile{Reader: f, name: f.Name(), size: size, close: func() { _ = f.Close() }}, nil // read only
}

func (t treeSource) done() { _ = t.root.Close() }

// openRef opens the file that a file_path refers to; nil without an error means
// that it is definitely not there. A backslash is a separator when Windows wrote
// it and part of a name elsewhere: the text is tried as it stands first.
func openRef(root *os.Root, filePath string) (*os.File, int64, error) {
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
	file *mediaFile
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
		return n, trackio.Errorf(trackio.ErrDataLoss, "media file %s became shorter while it was read", w.file.name)
	}
	return n, wrapErr(err, "read the media file", w.file.name)
}
