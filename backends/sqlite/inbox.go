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
	"strings"

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
	files, err := b.fragmentFiles()
	if err != nil {
		return err
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

// fragmentFiles returns the files of the inbox in the order of their names. A
// directory that goes meanwhile has none.
func (b *Backend) fragmentFiles() ([]string, error) {
	writers, err := os.ReadDir(b.inbox())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, wrapErr(err, "list the inbox", b.inbox())
	}
	var files []string
	for _, writer := range writers {
		if !writer.IsDir() {
			continue
		}
		dir := filepath.Join(b.inbox(), writer.Name())
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, wrapErr(err, "list the inbox", dir)
		}
		for _, entry := range entries {
			if strings.HasSuffix(entry.Name(), ".jsonl") && !entry.IsDir() {
				files = append(files, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return files, nil
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
