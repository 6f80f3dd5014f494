package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// fragment is a line of an inbox file: one row that a training process has
// handed in.
type fragment struct {
	Kind    string // metric, system_metric or alert
	Project string
	Run     string
	RunID   string // "" in rows of releases without ids

	fields map[string]json.RawMessage
}

// id is how the row's run is known in a database keyed by that column.
func (f *fragment) id(key string) string {
	if key == "run_name" {
		return f.Run
	}
	return f.runID()
}

// runID is the id that Python Trackio gives the row's run.
func (f *fragment) runID() string {
	if f.RunID == "" {
		return f.Run
	}
	return f.RunID
}

// parseFragment reads a line as Python Trackio does. It returns nil for what
// that passes over: no JSON, no row, a row without a project or a run. An error
// is a row that neither Python nor this package can make sense of.
func parseFragment(line []byte) (*fragment, error) {
	if !isJSONText(line) {
		return nil, nil
	}
	f := &fragment{}
	if !decode(line, &f.fields) || !decode(f.fields["kind"], &f.Kind) {
		return nil, nil
	}
	switch f.Kind {
	case "metric", "system_metric", "alert":
	default:
		return nil, nil
	}
	for _, field := range []struct {
		name string
		into *string
	}{{"project", &f.Project}, {"run", &f.Run}, {"run_id", &f.RunID}} {
		text, err := f.text(field.name)
		if err != nil {
			return nil, err
		}
		if text != nil {
			*field.into = *text
		}
	}
	if f.Project == "" || f.Run == "" {
		return nil, nil
	}
	return f, nil
}

// text returns a field that must be a text; nil when it is missing or is
// anything that is false in Python.
func (f *fragment) text(name string) (*string, error) {
	raw := f.fields[name]
	if isFalse(raw) && string(raw) != `""` {
		return nil, nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, trackio.Errorf(trackio.ErrDataLoss, "%s is %.40s, not a text", name, raw)
	}
	return &text, nil
}

// decode reports whether a value of JSON is of the type that it is read into.
func decode(raw []byte, into any) bool { return json.Unmarshal(raw, into) == nil }

// isFalse reports values that are false in Python, among them none at all.
func isFalse(raw json.RawMessage) bool {
	if len(raw) > 0 && strings.IndexByte("-0123456789", raw[0]) >= 0 {
		var number float64
		return json.Unmarshal(raw, &number) == nil && number == 0
	}
	switch string(compact(raw)) {
	case "", "null", "false", `""`, "[]", "{}":
		return true
	}
	return false
}

// isJSONText reports JSON that Python's parser takes too: it refuses what is not
// UTF-8, and halves of surrogate pairs.
func isJSONText(line []byte) bool {
	if !utf8.Valid(line) || !json.Valid(line) {
		return false
	}
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' {
			continue
		}
		if i++; line[i] != 'u' {
			continue
		}
		high, _ := hex4(line[i+1:])
		i += 4
		if !utf16.IsSurrogate(high) {
			continue
		}
		if !bytes.HasPrefix(line[i+1:], []byte(`\u`)) {
			return false
		}
		low, _ := hex4(line[i+3:])
		if utf16.DecodeRune(high, low) == utf8.RuneError {
			return false
		}
		i += 6
	}
	return true
}

// compact removes the white space between the tokens of valid JSON; the tokens
// stay as they are.
func compact(raw []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return raw
	}
	return out.Bytes()
}

// addPending counts the rows that wait in the inbox for each of the runs.
func (b *Backend) addPending(ctx context.Context, project, key string, runs []trackio.RunInfo) error {
	pending := map[string]int64{}
	err := b.eachFragment(ctx, func(f *fragment) {
		if trackio.CanonicalProject(f.Project) == project {
			pending[f.id(key)]++
		}
	})
	if err != nil {
		return err
	}
	for i := range runs {
		runs[i].Counts.Pending = pending[runs[i].ID]
	}
	return nil
}

// waiting counts the rows in the inbox that are a run's, and all of its project.
func (b *Backend) waiting(ctx context.Context, ref trackio.RunRef) (own, all int, err error) {
	files, err := b.fragmentFiles()
	if err != nil || len(files) == 0 {
		return 0, 0, err
	}
	key := "run_id"
	err = b.read(ctx, ref.Project, func(s *snapshot) error {
		key = s.schema.key
		return nil
	})
	if err != nil && !errors.Is(err, trackio.ErrNotFound) {
		return 0, 0, err
	}
	err = b.eachFragment(ctx, func(f *fragment) {
		if trackio.CanonicalProject(f.Project) != ref.Project {
			return
		}
		all++
		if f.id(key) == ref.ID {
			own++
		}
	})
	return own, all, err
}

// eachFragment reads all rows of the inbox, without those that cannot be read. A
// file that is imported and removed meanwhile is passed over.
func (b *Backend) eachFragment(ctx context.Context, visit func(*fragment)) error {
	files, err := b.fragmentFiles()
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := readLines(path, func(line []byte) error {
			if f, _ := parseFragment(line); f != nil {
				visit(f)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrapErr(err, "read the inbox file", path)
		}
	}
	return nil
}

// fragmentFiles returns the files of the inbox in the order of their names, at
// any depth. A directory that goes meanwhile has none.
func (b *Backend) fragmentFiles() ([]string, error) {
	var files []string
	err := filepath.WalkDir(b.inbox(), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return wrapErr(err, "list the inbox", path)
		}
		if !strings.HasSuffix(entry.Name(), ".jsonl") || entry.IsDir() {
			return nil
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// readLines calls visit with each line of a file that is not empty, in Python's
// sense of a line. Only one is in memory at a time; it is visit's to keep.
func readLines(path string, visit func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		text, err := lines.ReadBytes('\n')
		for line := range bytes.SplitSeq(text, []byte("\r")) {
			if line = bytes.Trim(line, " \t\n\r\v\f"); len(line) == 0 {
				continue
			}
			if err := visit(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
