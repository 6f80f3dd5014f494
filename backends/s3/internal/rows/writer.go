package rows

import (
	"errors"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/trackio-go/trackio/trackio"
)

// The layout's version, and the keys of the footer that say so.
const (
	formatVersion = "1"
	formatKey     = "trackio.format"
	kindKey       = "trackio.kind"
)

// The sizes of what is held in memory at once.
const (
	groupRows  = 32 << 10  // rows of a row group
	groupBytes = 16 << 20  // bytes of texts and payloads of a row group
	pageBytes  = 1 << 20   // bytes of a page
	chunkRows  = 512       // rows handed on at once
	chunkBytes = 256 << 10 // bytes of rows handed on at once
	maxRow     = 256 << 20 // bytes of a row: as many as a backend in another process is handed
)

// A Writer writes rows of one kind as a Parquet file. What it holds in memory is
// bound by one row group, however many rows come. It is used by one goroutine at
// a time.
type Writer[R Row] struct {
	kind    kind[R]
	out     *counter
	table   table[R]
	rows    int // of the row group
	bytes   int // of the row group
	summary Summary
	names   names
	err     error // what broke it

	groupRows int // rows of a row group at most
}

// NewWriter returns a writer to w, which it does not close.
func NewWriter[R Row](w io.Writer) *Writer[R] {
	out := &counter{w: w}
	wr := &Writer[R]{kind: kindOf[R](), out: out, groupRows: groupRows}
	wr.table = wr.kind.open(wr)
	return wr
}

// Write adds rows to the file. It keeps none of them. A row of more than 256 MiB
// is [errors.ErrUnsupported]; other errors are those of the underlying writer, as
// they are. After an error the file is of no use.
func (w *Writer[R]) Write(rows []R) error {
	if w.err != nil {
		return w.err
	}
	for i := range rows {
		size, err := w.table.add(&rows[i])
		if err != nil {
			return w.fail(err)
		}
		w.rows++
		w.bytes += size
		if w.rows >= w.groupRows || w.bytes >= groupBytes {
			if err := w.table.endGroup(); err != nil {
				return w.fail(err)
			}
			w.rows, w.bytes = 0, 0
		}
	}
	if err := w.table.flush(); err != nil {
		return w.fail(err)
	}
	return nil
}

// Close ends the file with its footer and says what it holds. A file of no rows
// can be read, too. Without Close, there is no file.
func (w *Writer[R]) Close() (Summary, error) {
	if w.err != nil {
		return Summary{}, w.err
	}
	if err := w.table.end(); err != nil {
		return Summary{}, w.fail(err)
	}
	w.err = trackio.Errorf(trackio.ErrInvalid, "the file of %s is written already", w.kind.name)
	w.summary.Names, w.summary.NamesCut = w.names.sorted()
	w.summary.Footer = sumFooter(w.out.end)
	w.out.end = nil
	return w.summary, nil
}

// fail remembers what broke the writer; an error of the underlying writer is
// returned as that one made it.
func (w *Writer[R]) fail(err error) error {
	switch {
	case w.out.err != nil:
		err = w.out.err
	case trackio.KindOf(err) == nil:
		err = trackio.Errorf(trackio.ErrInvalid, "the file of %s cannot be written: %w", w.kind.name, err)
	}
	w.err = err
	return err
}

// Size returns the number of bytes written so far; after Close, the file's.
func (w *Writer[R]) Size() int64 { return w.out.n }

// counter counts what is written and remembers the error.
type counter struct {
	w   io.Writer
	n   int64
	err error
	end []byte // what is written after the last row group; nil before
}

func (c *counter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.end != nil {
		c.end = append(c.end, p...)
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	c.err = err
	return n, err
}

// table is the file of one kind of rows under way.
type table[R Row] interface {
	add(row *R) (size int, err error) // takes a row
	flush() error                     // lets go of the rows taken
	endGroup() error                  // ends the row group
	end() error                       // ends the file
}

// records is a table whose rows are written as records of type T.
type records[R Row, T any] struct {
	w       *Writer[R]
	convert func(w *Writer[R], row *R) (T, int)
	file    *parquet.GenericWriter[T]
	chunk   []T
	bytes   int // of the chunk
}

// openTable returns the function that begins a file of records of type T.
func openTable[R Row, T any](convert func(w *Writer[R], row *R) (T, int)) func(w *Writer[R]) table[R] {
	return func(w *Writer[R]) table[R] {
		options := []parquet.WriterOption{
			parquet.CreatedBy("trackio", formatVersion, "parquet-go"),
			parquet.KeyValueMetadata(formatKey, formatVersion),
			parquet.KeyValueMetadata(kindKey, w.kind.name),
			parquet.Compression(zstdCodec{}),
			parquet.DataPageVersion(1),
			parquet.DataPageStatistics(false),
			parquet.PageBufferSize(pageBytes),
		}
		for _, c := range w.kind.columns {
			if c.holds != number { // long texts have no place in the footer
				options = append(options, parquet.SkipPageBounds(c.name))
			}
		}
		return &records[R, T]{w: w, convert: convert, file: parquet.NewGenericWriter[T](w.out, options...), chunk: make([]T, 0, chunkRows)}
	}
}

func (t *records[R, T]) add(row *R) (int, error) {
	record, size := t.convert(t.w, row)
	if size > maxRow {
		return 0, trackio.Errorf(errors.ErrUnsupported, "a row of %s has %d MiB; at most %d MiB can be stored", t.w.kind.name, size>>20, maxRow>>20).
			WithHint("log large data as files, such as tables or images")
	}
	t.chunk = append(t.chunk, record)
	t.bytes += size
	if len(t.chunk) == cap(t.chunk) || t.bytes >= chunkBytes {
		return size, t.flush()
	}
	return size, nil
}

func (t *records[R, T]) flush() error {
	n, err := t.file.Write(t.chunk)
	if err == nil && n != len(t.chunk) {
		err = errors.New("rows were left out: " + strings.TrimSpace(t.w.kind.name))
	}
	clear(t.chunk)
	t.chunk, t.bytes = t.chunk[:0], 0
	return err
}

func (t *records[R, T]) endGroup() error {
	if err := t.flush(); err != nil {
		return err
	}
	return t.file.Flush()
}

func (t *records[R, T]) end() error {
	if err := t.endGroup(); err != nil {
		return err
	}
	t.w.out.end = []byte{}
	return t.file.Close()
}
