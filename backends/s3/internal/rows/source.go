package rows

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// Source is a stored file of which parts can be read.
type Source interface {
	// ReadAt fills p with the bytes of the file from an offset on, or returns an
	// error: bare [io.ErrUnexpectedEOF] when the file ends before; one that wraps it
	// is of a connection. It ends early when the context does. It is not called by
	// two goroutines at once.
	ReadAt(ctx context.Context, p []byte, offset int64) error
}

// SourceOf returns a source on what is at hand, such as an open file.
func SourceOf(r io.ReaderAt) Source { return local{r} }

type local struct{ r io.ReaderAt }

// ReadAt implements [Source].
func (l local) ReadAt(ctx context.Context, p []byte, offset int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := l.r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

const (
	magic     = "PAR1"
	trailer   = 8 // the length of the footer, and the magic
	minTail   = 64 << 10
	maxTail   = 1 << 20
	maxFooter = 128 << 20 // far more than the 32,767 row groups that a file can have need
	tailPart  = 1024      // the part of the file that its footer is likely to be, at most
)

// readFooter reads the footer of a file, and returns the end of the file that it
// has read for it.
func readFooter[R Row](ctx context.Context, src Source, size int64, k *kind[R]) (*footer, tail, error) {
	if size < trailer+int64(len(magic)) {
		return nil, tail{}, errors.New("it is too short")
	}
	t := tail{from: size - min(size, max(minTail, min(maxTail, size/tailPart)))}
	t.data = make([]byte, size-t.from)
	if err := readAt(ctx, src, t.data, t.from); err != nil {
		return nil, tail{}, err
	}
	if !bytes.HasSuffix(t.data, []byte(magic)) {
		return nil, tail{}, errors.New("it is no Parquet file, or its end is missing")
	}
	length := int64(binary.LittleEndian.Uint32(t.data[len(t.data)-trailer:]))
	end := size - trailer - length // of the data
	if length > maxFooter || end < int64(len(magic)) {
		return nil, tail{}, errors.New("its footer is longer than it can be")
	}
	if end < t.from {
		more := make([]byte, size-end)
		copy(more[t.from-end:], t.data)
		if err := readAt(ctx, src, more[:t.from-end], end); err != nil {
			return nil, tail{}, err
		}
		t = tail{data: more, from: end}
	}
	f, err := parseFooter(t.part(chunk{end, size - trailer}), end, k)
	return f, t, err
}

// tail is the end of a file, from an offset on.
type tail struct {
	data []byte
	from int64
}

// part returns a part of the file, nil when it is not in the tail.
func (t tail) part(c chunk) []byte {
	if c.from < t.from {
		return nil
	}
	return t.data[c.from-t.from : c.to-t.from]
}

// fetcher fetches row groups, the next one while the last one is in use.
type fetcher struct {
	src    Source
	tail   tail
	groups []group
	ahead  chan fetched // the next one; nil when there is none
	used   []byte       // what the last one was fetched into; nil when it was in the tail
}

type fetched struct {
	data []byte
	own  bool // the data are not part of the tail
	err  error
}

func newFetcher(ctx context.Context, src Source, t tail, groups []group) *fetcher {
	f := &fetcher{src: src, tail: t, groups: groups}
	f.begin(ctx, nil)
	return f
}

// begin sets out for the next row group, into a buffer if that is large enough.
func (f *fetcher) begin(ctx context.Context, buffer []byte) {
	f.ahead = nil
	if len(f.groups) == 0 {
		return
	}
	span := f.groups[0].span()
	f.groups = f.groups[1:]
	f.ahead = make(chan fetched, 1)
	if data := f.tail.part(span); data != nil {
		f.ahead <- fetched{data: data}
		return
	}
	go func(ahead chan<- fetched) {
		size := int(span.to - span.from)
		data := slices.Grow(buffer[:0], size)[:size]
		err := readAt(ctx, f.src, data, span.from)
		ahead <- fetched{data, true, err}
	}(f.ahead)
}

// next returns the bytes of the next row group, of which there must be one. Those
// that it returned before are not valid any more.
func (f *fetcher) next(ctx context.Context) ([]byte, error) {
	got := <-f.ahead
	f.ahead = nil
	if got.err != nil {
		return nil, got.err
	}
	free := f.used
	f.used = nil
	if got.own {
		f.used = got.data
	}
	f.begin(ctx, free)
	return got.data, nil
}

// stop waits until nothing is under way any more; the context has ended before.
func (f *fetcher) stop() {
	if f.ahead != nil {
		<-f.ahead
	}
}

// readAt reads a part of a file. What the source cannot do is a sourceError; that
// the file is shorter than it should be is not.
func readAt(ctx context.Context, src Source, p []byte, offset int64) error {
	switch err := src.ReadAt(ctx, p, offset); {
	case err == nil:
		return nil
	case err == io.EOF, err == io.ErrUnexpectedEOF: // what is wrapped was met on the way, not at the end
		return errors.New("it is shorter than it should be")
	default:
		return &sourceError{err}
	}
}

// sourceError is an error of the source, which says nothing about the file.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
