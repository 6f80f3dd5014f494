package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// runMedia is what a change needs to know about the files of a run.
type runMedia struct {
	refs   *refMap
	texts  map[string]string // every file_path as written: path in the stream
	shared map[string]bool   // by path in the stream: another run refers to it too
	// alone: no other run of the project has the run's name, so nobody else
	// creates directories under it.
	alone bool
}

// findMedia reads the references of a run and who else has them. Only runs whose
// name leads to a file of this run can share one, since a file lies under the
// name of the run that wrote it.
func findMedia(ctx context.Context, q querier, s *schema, ref trackio.RunRef, name string) (*runMedia, error) {
	m := &runMedia{refs: newRefMap(ref.Project, name), texts: map[string]string{}, shared: map[string]bool{}, alone: true}
	err := eachReference(ctx, q, s, ref.ID, func(text string) {
		if rel := m.refs.add(text); !strings.HasPrefix(rel, "/") {
			m.texts[text] = rel
		}
	})
	if err != nil || s.key == "run_name" {
		return m, err // names are unique there
	}
	ids, err := runIDs(ctx, q, s)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if id == ref.ID {
			continue
		}
		first, err := oldest(ctx, q, s, id)
		if err != nil {
			return nil, err
		}
		switch {
		case first == nil: // read without locks while the file changed: it is read again
			continue
		case first.name == name:
			m.alone = false
		case !m.liesUnder(first.name):
			continue
		}
		err = eachReference(ctx, q, s, id, func(text string) {
			if m.refs.has(text) {
				m.shared[m.refs.add(text)] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// liesUnder reports whether a file of the run lies in the directory of a name.
func (m *runMedia) liesUnder(name string) bool {
	for _, rel := range m.texts {
		if strings.HasPrefix(rel, name+"/") {
			return true
		}
	}
	return false
}

// eachReference calls visit with every media reference in the rows of a run.
func eachReference(ctx context.Context, q querier, s *schema, id string, visit func(text string)) error {
	for _, name := range rowTables {
		t := s.table(name)
		if t == nil {
			continue
		}
		for _, column := range payloads(name) {
			query := fmt.Sprintf("SELECT %[1]s FROM main.%[2]s WHERE %[3]s = ? AND instr(%[1]s, '%[4]s')", quote(column), quote(name), t.key, refMark)
			if err := eachPayload(ctx, q, query, id, func(payload []byte) error { return findRefs(payload, visit) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func eachPayload(ctx context.Context, q querier, query, id string, visit func([]byte) error) error {
	rows, err := q.QueryContext(ctx, query, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	var payload []byte
	for rows.Next() {
		if err := rows.Scan(&payload); err != nil {
			return err
		}
		if err := visit(payload); err != nil {
			return err
		}
	}
	return rows.Err()
}

// filesIn lists the run's files that are in a tree, with the places to which they
// go, by path in the stream.
func (m *runMedia) filesIn(tree *mediaTree, to map[string]string) (files []opFile, err error) {
	for _, f := range m.refs.files() {
		from := cleanRef(f.Path)
		info, err := tree.root.Stat(filepath.FromSlash(from))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // a reference to a file that is gone stays one
		case err != nil:
			return nil, wrapErr(err, "read media file", from)
		case !info.Mode().IsRegular():
			return nil, trackio.Errorf(trackio.ErrDataLoss, "media file %q is not a regular file", from)
		}
		files = append(files, opFile{From: from, To: to[f.Rel], Shared: m.shared[f.Rel]})
	}
	return files, nil
}

// onlyOwn lists the files that only this run refers to.
func (m *runMedia) onlyOwn() []opFile {
	var files []opFile
	for _, f := range m.refs.files() {
		if !m.shared[f.Rel] {
			files = append(files, opFile{From: cleanRef(f.Path)})
		}
	}
	return files
}
