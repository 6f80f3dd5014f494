package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// likeness is how the copies of a run in two databases compare.
type likeness int

const (
	different    likeness = iota
	sameRows              // row by row the same
	moreInSource          // the target has the first rows of the source, of each kind
)

// compareRuns compares the two copies that an interrupted move has left, row by
// row in the order of writing, media references by the path in the run. The
// caller holds both locks.
func (b *Backend) compareRuns(ctx context.Context, op *operation) (likeness, error) {
	result := sameRows
	err := b.read(ctx, op.Source, func(source *snapshot) error {
		return b.read(ctx, op.Target, func(target *snapshot) error {
			for _, name := range runTables {
				if name == "pending_uploads" {
					continue // paths of this machine, which the move rewrites
				}
				like, err := compareTable(ctx, name, sideOf(source, op.Source, op.RunID, op.RunName), sideOf(target, op.Target, op.NewID, op.RunName))
				if err != nil {
					return err
				}
				switch {
				case like == different:
					result = different
					return nil
				case like == moreInSource:
					result = moreInSource
				}
			}
			return nil
		})
	})
	return result, err
}

// side is one copy of a run.
type side struct {
	*snapshot
	id   string
	refs *refMap
}

func sideOf(s *snapshot, project, id, name string) side {
	return side{snapshot: s, id: id, refs: newRefMap(project, name)}
}

func compareTable(ctx context.Context, name string, source, target side) (likeness, error) {
	from, to := source.schema.table(name), target.schema.table(name)
	if from == nil || to == nil {
		n, err := countSide(ctx, to, target)
		if err != nil || n > 0 {
			return different, err
		}
		m, err := countSide(ctx, from, source)
		if m > 0 {
			return moreInSource, err
		}
		return sameRows, err
	}
	columns := comparable(from, to)
	left, err := source.rows(ctx, from, columns)
	if err != nil {
		return different, err
	}
	defer left.Close()
	right, err := target.rows(ctx, to, columns)
	if err != nil {
		return different, err
	}
	defer right.Close()
	for right.Next() {
		if !left.Next() {
			return different, left.Err()
		}
		a, err := source.scan(left, columns, name)
		if err != nil {
			return different, err
		}
		z, err := target.scan(right, columns, name)
		if err != nil {
			return different, err
		}
		if !slices.Equal(a, z) {
			return different, nil
		}
	}
	if left.Next() {
		return moreInSource, right.Err()
	}
	return sameRows, errors.Join(left.Err(), right.Err())
}

func countSide(ctx context.Context, t *table, s side) (n int64, err error) {
	if t != nil {
		err = s.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s = ?", quote(t.name), t.key), s.id).Scan(&n)
	}
	return n, err
}

// comparable are the columns that both tables have and that a move keeps.
func comparable(a, b *table) []string {
	var columns []string
	for _, c := range a.columns {
		if b.has[c] && c != "run_id" && (c != "id" || a.name == "traces") && c != "search_text" {
			columns = append(columns, c)
		}
	}
	return columns
}

func (s side) rows(ctx context.Context, t *table, columns []string) (*sql.Rows, error) {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = fmt.Sprintf("typeof(%[1]s) || ':' || hex(%[1]s)", quote(c))
		if slices.Contains(payloads(t.name), c) {
			quoted[i] = quote(c)
		}
	}
	return s.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = ? ORDER BY rowid", strings.Join(quoted, ", "), quote(t.name), t.key), s.id)
}

// scan returns the values of a row in a form that is equal in both copies.
func (s side) scan(rows *sql.Rows, columns []string, name string) ([]string, error) {
	values, into := make([][]byte, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	texts := make([]string, len(columns))
	for i, c := range columns {
		if slices.Contains(payloads(name), c) {
			out, _, err := rewriteRefs(values[i], s.refs.add)
			if err != nil {
				return nil, err
			}
			values[i] = out
		}
		texts[i] = string(values[i])
	}
	return texts, nil
}

// cleanRef is the name, below the media directory, of the file that a file_path
// refers to.
func cleanRef(text string) string { return path.Clean(slashed(text)) }

// madeFrom reports whether the file b can have been made from a: it is the same
// file, or a copy that may not be complete, or was not made yet. Without a it is
// the last copy.
func madeFrom(a *os.Root, nameA string, b *os.Root, nameB string) (bool, error) {
	left, err := a.Open(filepath.FromSlash(nameA))
	if err != nil {
		return false, ignoreMissing(err, nameA)
	}
	defer left.Close()
	right, err := b.Open(filepath.FromSlash(nameB))
	if err != nil {
		err = ignoreMissing(err, nameB)
		return err == nil, err
	}
	defer right.Close()
	infoA, errA := left.Stat()
	infoB, errB := right.Stat()
	if err := errors.Join(errA, errB); err != nil {
		return false, wrapErr(err, "read media file", nameA)
	}
	if os.SameFile(infoA, infoB) {
		return true, nil
	}
	return sameBytes(io.LimitReader(left, infoB.Size()), right)
}

func sameBytes(a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			for _, err := range []error{errA, errB} {
				if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					return false, wrapErr(err, "read", "media files")
				}
			}
			return true, nil
		}
	}
}

func ignoreMissing(err error, name string) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return wrapErr(err, "read media file", name)
}
