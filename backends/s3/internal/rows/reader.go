package rows

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Options says what is known of a file, and what is wanted of it.
type Options struct {
	// Steps and Times are hints, as in [trackio.ExportOptions]: rows outside them
	// are left out, and row groups that hold none inside are not fetched. A row
	// whose timestamp is no time is inside any Times, and one without a step is
	// inside any Steps.
	Steps trackio.Range[int64]
	Times trackio.Range[time.Time]

	// Rows is the number of rows that the file must have, 0 when it is not known.
	Rows int64

	// Footer is the checksum that the footer must have, "" when it is not known.
	Footer string
}

// Read yields the rows of a file of that size in batches, in the order in which
// they were written. The caller may keep a batch.
//
// It asks the source once for the end of the file, with the footer; again only
// when the footer is longer than about a thousandth of the file; and once for
// each row group that is wanted, of which it holds two: while the rows of one are
// yielded, the next one is on its way. What the end of a small file holds is not
// asked for again.
//
// What is wrong with the file ends the sequence with [trackio.ErrDataLoss];
// errors of the source are passed on as they are, but for [io.EOF] and
// [io.ErrUnexpectedEOF], which are data loss, too.
func Read[R Row](ctx context.Context, src Source, size int64, opts Options) iter.Seq2[[]R, error] {
	return func(yield func([]R, error) bool) {
		k := kindOf[R]()
		f, tail, err := readFooter(ctx, src, size, &k)
		if err == nil {
			err = opts.check(f)
		}
		if err != nil {
			yield(nil, k.damaged(ctx, err))
			return
		}
		w := newWindow(opts)
		wanted := f.groups[:0]
		for _, g := range f.groups {
			if w.mayHold(&g) {
				wanted = append(wanted, g)
			}
		}
		fetching, cancel := context.WithCancel(ctx)
		fetch := newFetcher(fetching, src, tail, wanted)
		defer fetch.stop()
		defer cancel()
		for i := range wanted {
			data, err := fetch.next(fetching)
			if err != nil {
				yield(nil, k.damaged(ctx, err))
				return
			}
			for rows, err := range readGroup(&k, &wanted[i], data, w) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(nil, k.damaged(ctx, err))
					return
				}
				if !yield(rows, nil) {
					return
				}
			}
		}
	}
}

// check makes sure that a file is the one that is meant.
func (o *Options) check(f *footer) error {
	switch {
	case o.Rows != 0 && f.rows != o.Rows:
		return fmt.Errorf("it has %d rows of %d", f.rows, o.Rows)
	case o.Footer != "" && f.sum != o.Footer:
		return errors.New("the checksum of its footer differs")
	}
	return nil
}

// damaged makes data loss of an error that has no kind and is not the source's.
func (k *kind[R]) damaged(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed, ok := err.(*sourceError); ok { //nolint:errorlint // never wrapped
		return failed.err
	}
	if trackio.KindOf(err) != nil {
		return err
	}
	return trackio.Errorf(trackio.ErrDataLoss, "the file of %s is damaged: %w", k.name, err).
		WithHint("restore it from a backup or an earlier version of the object; what it held is lost otherwise")
}

// readGroup yields the rows of one row group that are in the window.
func readGroup[R Row](k *kind[R], g *group, data []byte, w window) iter.Seq2[[]R, error] {
	return func(yield func([]R, error) bool) {
		from := g.span().from
		columns := make([]pages, len(k.columns))
		for i, c := range g.chunks {
			columns[i] = pages{column: k.columns[i], data: data[c.from-from : c.to-from], left: g.rows}
		}
		b := batch{columns: make([]values, len(columns))}
		at, step := k.index(timeColumn), k.index(stepColumn)
		for left := g.rows; left > 0; left -= int64(b.rows) {
			if err := b.fill(columns, left); err != nil {
				yield(nil, err)
				return
			}
			rows := make([]R, 0, b.rows)
			for i := range b.rows {
				if w.holds(&b, at, step, i) {
					rows = append(rows, k.row(&b, i))
				}
			}
			if len(rows) > 0 && !yield(rows, nil) {
				return
			}
		}
		for i := range columns {
			if err := columns[i].end(); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// fill takes the next rows of all columns, of which that many are left.
func (b *batch) fill(columns []pages, left int64) error {
	n := int(min(left, batchRows))
	for i := range columns {
		if err := columns[i].more(); err != nil {
			return err
		}
		n = min(n, columns[i].size-columns[i].at)
	}
	for i := range columns {
		if n > 0 {
			n = columns[i].fit(n)
		}
	}
	if n == 0 {
		return errValues // a column has fewer values than there are rows
	}
	b.rows = n
	schema := make([]column, len(columns))
	for i := range columns {
		if err := columns[i].take(&b.columns[i], n); err != nil {
			return fmt.Errorf("column %q: %w", columns[i].column.name, err)
		}
		schema[i] = columns[i].column
	}
	return b.restore(schema)
}
