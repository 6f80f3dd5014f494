package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// drain imports what waits in the inbox, as Python Trackio's dashboard does, and
// removes the files. Rows that wait would bring a run back that was deleted,
// moved or renamed before they come in, so it comes before such a change.
//
// A file is imported in one durable transaction for each of its projects, under
// that project's lock, and goes only when the last of them is committed: a kill
// in between leaves rows that are there and a file that the next import finds
// nothing new in, because every row has an id of its own. Files are never
// rewritten. One that comes later stays for the next time.
//
// A file that holds nothing for the project and cannot be imported, such as for
// a database that is broken, is left with a note.
func (b *Backend) drain(ctx context.Context, project string) error {
	files, err := b.fragmentFiles()
	if err != nil {
		return err
	}
	for _, path := range files {
		file, err := scanFragments(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // imported by another process
		}
		if err == nil {
			err = b.drainFile(ctx, file)
		}
		if err = cause(ctx, wrapErr(err, "import the inbox file", path)); err == nil {
			continue
		}
		if ctx.Err() != nil || file.concerns(project) {
			return err
		}
		trackio.Note(ctx, "inbox file %s was left where it is: %v", path, err)
	}
	// As by Python's importer: a writer makes its directory anew when it is gone.
	writers, err := os.ReadDir(b.inbox())
	for _, writer := range writers {
		if writer.IsDir() {
			_ = os.Remove(filepath.Join(b.inbox(), writer.Name())) // when it is empty
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return wrapErr(err, "list the inbox", b.inbox())
}

// opDrain has no journal: it is a place to prepare a new project in.
const opDrain opKind = "drain"

// fragmentFile is what an import must know of a file before its first row.
type fragmentFile struct {
	path     string
	info     fs.FileInfo
	projects []string // canonical, in the order of their first rows
	groups   map[groupKey]*fragmentGroup
	skipped  int // lines that are no rows
}

// groupKey is what Python imports together: the rows of a kind and a run.
type groupKey struct{ kind, project, run, id string }

func (f *fragment) group() groupKey { return groupKey{f.Kind, f.Project, f.Run, f.RunID} }

// fragmentGroup is what the rows of a group decide for each of them.
type fragmentGroup struct {
	key     groupKey
	config  json.RawMessage // the first that is given
	untimed bool            // a row lacks its timestamp: then all get the present one
	stepped bool            // every row has its step

	next *int64 // the step that the next row without one gets
}

func (file *fragmentFile) concerns(project string) bool {
	return slices.Contains(file.projects, project)
}

// scanFragments reads a file once. The error is that of the first row that
// cannot be imported; what the file concerns is known all the same.
func scanFragments(ctx context.Context, path string) (*fragmentFile, error) {
	file := &fragmentFile{path: path, groups: map[groupKey]*fragmentGroup{}}
	var err error
	if file.info, err = os.Stat(path); err != nil {
		return file, err
	}
	var bad error
	line := 0
	err = readLines(path, func(text []byte) error {
		line++
		f, err := parseFragment(text)
		if err == nil && f != nil {
			err = file.add(f)
		}
		if err != nil && bad == nil {
			bad = errFragment(line, path, err)
		}
		if f == nil && err == nil {
			file.skipped++
		}
		return ctx.Err()
	})
	return file, errors.Join(err, bad)
}

// errFragment names the row that cannot be imported.
func errFragment(line int, path string, err error) error {
	hint := trackio.HintOf(err)
	if hint == "" {
		hint = "no program can import it; repair the row, or move the file out of the inbox"
	}
	return trackio.Errorf(trackio.KindOf(err), "row %d of inbox file %s: %w", line, path, err).WithHint("%s", hint)
}

func (file *fragmentFile) add(f *fragment) error {
	project := trackio.CanonicalProject(f.Project)
	if !file.concerns(project) {
		file.projects = append(file.projects, project)
	}
	if version := string(f.fields["v"]); version != "" && version != "null" && version != "1" {
		return trackio.Errorf(errors.ErrUnsupported, "it is in format %.20s, and this version knows format 1", version).
			WithHint("a newer Trackio has written it; update this program")
	}
	g := file.groups[f.group()]
	if g == nil {
		g = &fragmentGroup{key: f.group(), stepped: true}
		file.groups[g.key] = g
	}
	if g.config == nil && !isFalse(f.fields["config"]) {
		g.config = compact(f.fields["config"])
	}
	at, err := f.text("timestamp")
	if err != nil {
		return err
	}
	if at == nil || *at == "" {
		g.untimed = true
	}
	step, err := f.step()
	if step == nil {
		g.stepped = false
	}
	return err
}

// drainFile imports a file and removes it.
func (b *Backend) drainFile(ctx context.Context, file *fragmentFile) error {
	for _, project := range file.projects {
		done, err := b.drainProject(ctx, file, project)
		if done || err != nil {
			return err
		}
	}
	if file.skipped > 0 {
		trackio.Note(ctx, "%d lines of inbox file %s are no rows; they were passed over, as by Python's Trackio", file.skipped, file.path)
	}
	if err := os.Remove(file.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(file.path)
	if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// drainProject imports the rows of one project; done says that another process
// has imported the file meanwhile, with all that is in it.
func (b *Backend) drainProject(ctx context.Context, file *fragmentFile, project string) (done bool, err error) {
	op := b.newOperation(opDrain)
	op.Target = project
	if err := b.own(op); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.end(op)) }()
	release, err := b.lockProjects(ctx, project)
	if err != nil {
		return false, err
	}
	defer release()
	// Whoever removes the file holds no lock. But a change that it was imported
	// for comes under this one, so that no row comes in after it.
	if now, err := os.Stat(file.path); errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, file.info) {
		return true, nil
	}
	return false, b.commitTarget(ctx, op, func(ctx context.Context, w *writer) error {
		return b.importFragments(ctx, w, file, project)
	})
}
