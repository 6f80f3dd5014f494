//go:build trainer && unix

package trainer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// victim is a run that has ended, and that is moved about while others train.
type victim struct {
	project, name, id string
	rows              int
	content           string // what must never change
}

// addVictim writes a run of the past: rows, a config, a system metric, an alert,
// and files.
func addVictim(t *testing.T, dir string, v *victim, files int) {
	t.Helper()
	db, err := openAsPython(dir, v.project)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tr := &trainer{}
	if err := tr.initDB(db); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := tx.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	stamp := func(i int) string {
		return time.Date(2026, 1, 1, 0, 0, 0, i*1000, time.UTC).Format("2006-01-02T15:04:05.000000+00:00")
	}
	exec("INSERT INTO configs (run_id, run_name, config, created_at) VALUES (?, ?, ?, ?)", v.id, v.name, []byte(`{"lr":0.10}`), stamp(0))
	insert, err := tx.Prepare("INSERT INTO metrics (timestamp, run_id, run_name, step, metrics, log_id) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range v.rows {
		metric := fmt.Sprintf(`{"loss":%d.0,"note":"a row of some length, as runs log a dozen metrics at once","n":9007199254740993}`, i)
		if i < files {
			path := mediaPath(v.project, v.name, v.id, i)
			name := filepath.Join(dir, "media", path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(mediaContent(v.id, i)), 0o666)); err != nil {
				t.Fatal(err)
			}
			metric = fmt.Sprintf(`{"loss":1.0,"img":{"_type":"trackio.image","file_path":"%s","caption":null}}`, path)
		}
		if _, err := insert.Exec(stamp(i), v.id, v.name, i, []byte(metric), logID(v.id, i)); err != nil {
			t.Fatal(err)
		}
	}
	exec("INSERT INTO system_metrics (timestamp, run_id, run_name, metrics, log_id) VALUES (?, ?, ?, ?, ?)", stamp(1), v.id, v.name, []byte(`{"gpu":0.5}`), v.id+"-s")
	exec("INSERT INTO alerts (timestamp, run_id, run_name, title, level, alert_id) VALUES (?, ?, ?, 'spike', 'warn', ?)", stamp(1), v.id, v.name, v.id+"-a")
	if err := errors.Join(insert.Close(), tx.Commit()); err != nil {
		t.Fatal(err)
	}
}

// contentOf reads a run whole and returns what it is made of, whatever the
// places of its files.
func contentOf(ctx context.Context, b *sqlite.Backend, ref trackio.RunRef) (string, error) {
	var rows, files []string
	for record, err := range trackio.Checked(b.ExportRun(ctx, ref, trackio.ExportOptions{})) {
		if err != nil {
			return "", err
		}
		switch r := record.(type) {
		case *trackio.Config:
			rows = append(rows, string(r.JSON))
		case *trackio.Metrics:
			for _, row := range r.Rows {
				rows = append(rows, fmt.Sprint(row.LogID, row.Step, row.Timestamp))
			}
		case *trackio.SystemMetrics:
			for _, row := range r.Rows {
				rows = append(rows, row.LogID, string(row.Metrics))
			}
		case *trackio.Alerts:
			for _, row := range r.Rows {
				rows = append(rows, row.AlertID, row.Title)
			}
		case *trackio.Media:
			if r.Missing {
				return "", fmt.Errorf("file %s is missing", r.Path)
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, r.Body); err != nil {
				return "", err
			}
			files = append(files, hex.EncodeToString(sum.Sum(nil)))
		}
	}
	slices.Sort(files)
	sum := sha256.Sum256([]byte(strings.Join(rows, "\n")))
	return fmt.Sprintf("%d rows %x, %d files %s", len(rows), sum[:8], len(files), strings.Join(files, " ")), nil
}

// tally counts what was done, by name.
type tally struct {
	mu     sync.Mutex
	done   map[string]int
	live   int // changes of a live run, refused as they must be
	longer time.Duration
}

func (c *tally) count(what string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[what]++
	c.longer = max(c.longer, took)
}

func (c *tally) refused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live++
}

// hand is a way of changing runs: within this process, or by the real program.
type hand interface {
	move(ctx context.Context, ref trackio.RunRef, to string) error
	rename(ctx context.Context, ref trackio.RunRef, name string) error
	imported(ctx context.Context, ref trackio.RunRef, to string) error // a copy, by a stream of its records
	remove(ctx context.Context, ref trackio.RunRef) error
}

type inProcess struct{ b *sqlite.Backend }

func (h inProcess) move(ctx context.Context, ref trackio.RunRef, to string) error {
	_, err := h.b.MoveRun(ctx, ref, to, trackio.MoveOptions{})
	return err
}

func (h inProcess) rename(ctx context.Context, ref trackio.RunRef, name string) error {
	_, err := h.b.RenameRun(ctx, ref, name, trackio.RenameOptions{})
	return err
}

func (h inProcess) imported(ctx context.Context, ref trackio.RunRef, to string) error {
	_, err := h.b.ImportRun(ctx, trackio.RunRef{Project: to, ID: ref.ID}, h.b.ExportRun(ctx, ref, trackio.ExportOptions{}))
	return err
}

func (h inProcess) remove(ctx context.Context, ref trackio.RunRef) error {
	return h.b.DeleteRun(ctx, ref, trackio.DeleteOptions{})
}

// program runs trackio, a process for every change.
type program struct{ path, dir, home string }

func (h program) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, h.path, args...)
	cmd.Env = []string{"TRACKIO_DIR=" + h.dir, "HOME=" + h.home, "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	kind := errors.New("failed")
	if cmd.ProcessState.ExitCode() == 5 {
		kind = trackio.ErrConflict
	}
	return fmt.Errorf("trackio %s: %w: %v: %s", strings.Join(args, " "), kind, err, out)
}

func (h program) move(ctx context.Context, ref trackio.RunRef, to string) error {
	return h.run(ctx, "move", "run", "--project", ref.Project, "--run-id", ref.ID, "--to", to, "--yes", "--json")
}

func (h program) rename(ctx context.Context, ref trackio.RunRef, name string) error {
	return h.run(ctx, "rename", "run", "--project", ref.Project, "--run-id", ref.ID, "--name", name, "--json")
}

func (h program) imported(ctx context.Context, ref trackio.RunRef, to string) error {
	return h.run(ctx, "copy", "run", "--project", ref.Project, "--run-id", ref.ID, "--to", to, "--json")
}

func (h program) remove(ctx context.Context, ref trackio.RunRef) error {
	return h.run(ctx, "delete", "run", "--project", ref.Project, "--run-id", ref.ID, "--yes", "--json")
}
