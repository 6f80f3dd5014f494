package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/trackio-go/trackio/backends/internal/bucket"
	"github.com/trackio-go/trackio/trackio"
)

const (
	smallMedia   = 4 << 20  // bytes: a file up to this is sent beside others, from memory
	mediaInHand  = 64 << 20 // bytes of such files that are held at once
	mediaWorkers = 32       // of them that are sent at once
)

// upload is an object that is written as its content comes, without a size known
// before.
type upload struct {
	pipe *io.PipeWriter
	done chan struct{} // closed when err is known
	err  error
	size int64
}

// startUpload begins to write an object. It must be ended, by end or by abort.
func (b *Backend) startUpload(ctx context.Context, key, contentType string) *upload {
	r, w := io.Pipe()
	u := &upload{pipe: w, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		if u.err = b.bucket.Upload(ctx, key, r, -1, contentType); u.err != nil {
			_ = r.CloseWithError(u.err)
		}
	}()
	return u
}

func (u *upload) Write(p []byte) (int, error) {
	n, err := u.pipe.Write(p)
	u.size += int64(n)
	return n, err
}

// end waits until the object is there.
func (u *upload) end() error {
	_ = u.pipe.Close()
	<-u.done
	return u.err
}

// abort gives the object up: nothing of it becomes visible.
func (u *upload) abort(err error) {
	_ = u.pipe.CloseWithError(err)
	<-u.done
}

// mediaUpload sends the media of an import, many small ones at once, and lists
// them. It is used by one goroutine.
type mediaUpload struct {
	b     *Backend
	data  string
	group *errgroup.Group
	ctx   context.Context // of the group
	room  *semaphore.Weighted

	index   *upload
	packed  *zstd.Encoder
	lines   *json.Encoder
	indexed func() string
	files   int64
	bytes   int64
}

func (b *Backend) startMedia(ctx context.Context, data string) *mediaUpload {
	m := &mediaUpload{b: b, data: data, room: semaphore.NewWeighted(mediaInHand)}
	m.group, m.ctx = errgroup.WithContext(ctx)
	m.group.SetLimit(mediaWorkers)
	return m
}

// add takes one file. Its body is read before add returns.
func (m *mediaUpload) add(record *trackio.Media) error {
	entry := mediaEntry{Path: record.Path, Missing: record.Missing}
	m.files++
	if !record.Missing {
		if record.Size < 0 {
			return trackio.Errorf(trackio.ErrInvalid, "media %q comes with a size of %d bytes", record.Path, record.Size)
		}
		if record.Body == nil {
			return trackio.Errorf(trackio.ErrInvalid, "media %q comes without its bytes", record.Path).
				WithHint("export the run with bodies")
		}
		entry.Key, entry.Size = fmt.Sprintf("%s%08d%s", mediaDir, m.files, extension(record.Path)), record.Size
		send := m.large
		if record.Size <= smallMedia {
			send = m.small
		}
		var err error
		if entry.SHA256, err = send(record, dataKey(m.data, entry.Key)); err != nil {
			return err
		}
		if record.SHA256 != "" && record.SHA256 != entry.SHA256 {
			return trackio.Errorf(trackio.ErrDataLoss, "media %q has SHA-256 %s instead of %s", record.Path, entry.SHA256, record.SHA256)
		}
		m.bytes += record.Size
	}
	return m.list(entry)
}

// small reads a file and sends it beside others.
func (m *mediaUpload) small(record *trackio.Media, key string) (string, error) {
	weight := max(record.Size, 1)
	if err := m.room.Acquire(m.ctx, weight); err != nil {
		return "", m.failed()
	}
	body := make([]byte, record.Size)
	if err := readBody(record, body); err != nil {
		m.room.Release(weight)
		return "", err
	}
	m.group.Go(func() error {
		defer m.room.Release(weight)
		return m.b.bucket.Upload(m.ctx, key, bytes.NewReader(body), int64(len(body)), bucket.ContentType(key))
	})
	return digest(body), nil
}

// readBody fills body with the content of a file, which must end there.
func readBody(record *trackio.Media, body []byte) error {
	n, err := io.ReadFull(record.Body, body)
	if err == nil {
		var more [1]byte
		if n, _ := io.ReadFull(record.Body, more[:]); n > 0 {
			return errSize(record, "more than")
		}
		return nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errSize(record, fmt.Sprint(n, " of"))
	}
	return unreadable(record, err)
}

// unreadable is the error for a file whose content could not be had.
func unreadable(record *trackio.Media, err error) error {
	if trackio.KindOf(err) != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return trackio.Errorf(trackio.ErrDataLoss, "cannot read media %q: %w", record.Path, err)
}

func errSize(record *trackio.Media, got string) error {
	return trackio.Errorf(trackio.ErrDataLoss, "media %q came with %s %d bytes", record.Path, got, record.Size)
}

// large sends a file as it comes.
func (m *mediaUpload) large(record *trackio.Media, key string) (string, error) {
	sum := sha256.New()
	body := io.TeeReader(bodyReader{record}, sum)
	if err := m.b.bucket.Upload(m.ctx, key, body, record.Size, bucket.ContentType(key)); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// bodyReader gives the errors of a body their kind.
type bodyReader struct{ record *trackio.Media }

func (r bodyReader) Read(p []byte) (int, error) {
	n, err := r.record.Body.Read(p)
	if err != nil && err != io.EOF {
		err = unreadable(r.record, err)
	}
	return n, err
}

// list writes a line of the index, which is begun with the first.
func (m *mediaUpload) list(e mediaEntry) error {
	if m.index == nil {
		m.index = m.b.startUpload(m.ctx, dataKey(m.data, mediaIndexName), typeZstd)
		sum := sha256.New()
		var err error
		m.packed, err = zstd.NewWriter(io.MultiWriter(m.index, sum), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return err
		}
		m.lines = json.NewEncoder(m.packed)
		m.lines.SetEscapeHTML(false)
		m.indexed = func() string { return hex.EncodeToString(sum.Sum(nil)) }
	}
	return m.lines.Encode(e)
}

// failed returns what ended the group.
func (m *mediaUpload) failed() error {
	if err := m.group.Wait(); err != nil {
		return err
	}
	return context.Cause(m.ctx)
}

// end waits until every file and the index are there; nil for no files.
func (m *mediaUpload) end() (*mediaIndex, error) {
	if m.index == nil {
		return nil, m.group.Wait()
	}
	err := m.packed.Close()
	if endErr := m.index.end(); err == nil {
		err = endErr
	}
	// What ended a file has ended the index too, and is the reason to tell.
	if groupErr := m.group.Wait(); groupErr != nil {
		return nil, groupErr
	}
	if err != nil {
		return nil, err
	}
	return &mediaIndex{Key: mediaIndexName, Size: m.index.size, SHA256: m.indexed(), Files: m.files}, nil
}

// abort gives up what is under way, and waits for it.
func (m *mediaUpload) abort(err error) {
	if m.index != nil {
		m.index.abort(err)
	}
	_ = m.group.Wait()
}

// extension is the end of an object's name, for people and their tools.
func extension(p string) string {
	ext := path.Ext(p)
	if len(ext) < 2 || len(ext) > 10 {
		return ""
	}
	plain := strings.Trim(strings.ToLower(ext[1:]), "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	if !plain {
		return ""
	}
	return strings.ToLower(ext)
}
