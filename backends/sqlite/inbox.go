package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trackio-go/trackio/trackio"
)

// fragment is what a line of an inbox file says about its row.
type fragment struct {
	Version int    `json:"v"`
	Kind    string `json:"kind"`
	Project string `json:"project"`
	Run     string `json:"run"`
	RunID   string `json:"run_id"`
}

// id is how the row's run is known in a database keyed by that column.
func (f fragment) id(key string) string {
	if key == "run_name" || f.RunID == "" {
		return f.Run
	}
	return f.RunID
}

// addPending counts the rows that wait in the inbox for each of the runs.
func (b *Backend) addPending(ctx context.Context, project, key string, runs []trackio.RunInfo) error {
	pending := map[string]int64{}
	err := b.eachFragment(ctx, func(f fragment) {
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

// eachFragment reads all lines of the inbox. As in Python Trackio, a line that
// is no row is passed over: the last one may be half written. A file that is
// imported and removed meanwhile is, too.
func (b *Backend) eachFragment(ctx context.Context, visit func(fragment)) error {
	files, err := filepath.Glob(filepath.Join(globEscape(b.inbox()), "*", "*.jsonl"))
	if err != nil {
		return wrapErr(err, "list the inbox", b.inbox())
	}
	for _, path := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := readFragments(path, visit); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrapErr(err, "read the inbox file", path)
		}
	}
	return nil
}

// globEscape makes every character of a directory's name stand for itself.
func globEscape(dir string) string {
	out := make([]byte, 0, len(dir))
	for i := range len(dir) {
		switch c := dir[i]; c {
		case '*', '?', '[':
			out = append(out, '[', c, ']')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func readFragments(path string, visit func(fragment)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		var row fragment
		if json.Unmarshal(line, &row) == nil && row.Version == 1 && row.Run != "" {
			switch row.Kind {
			case "metric", "system_metric", "alert":
				visit(row)
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
