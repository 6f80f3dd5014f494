package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	movedRows  = 200_000
	otherRows  = 50_000
	source     = "source"
	target     = "target"
	memoryMost = 128 << 20
)

func (b *bench) move(ctx context.Context) error {
	const turns, limit = 7, 1.3
	sqlite3, err := exec.LookPath("sqlite3")
	if err != nil {
		return fmt.Errorf("the sqlite3 program, to which a move is compared: %w", err)
	}
	store, err := b.sub("move")
	if err != nil {
		return err
	}
	moved := runRows{id: runID(2), name: "moved", rows: movedRows, random: true}
	if err := generate(ctx, store, source, []runRows{
		{id: runID(1), name: "before", rows: otherRows, random: true}, moved, {id: runID(3), name: "after", rows: otherRows, random: true},
	}); err != nil {
		return err
	}
	if err := generate(ctx, store, target, []runRows{{id: runID(4), name: "there", rows: otherRows, random: true}}); err != nil {
		return err
	}
	var peak int64
	theirs, ours, err := takeTurns(ctx, turns,
		func(int) (time.Duration, error) {
			return b.onCopy(ctx, store, func(dir string) (time.Duration, error) { return moveBySQL(ctx, sqlite3, dir, moved.id) })
		},
		func(int) (time.Duration, error) {
			return b.onCopy(ctx, store, func(dir string) (time.Duration, error) {
				got, err := b.trackio(ctx, dir, "move", "run", "--project", source, "--run", moved.name, "--to", target, "--yes")
				peak = max(peak, got.peak)
				return got.took, err
			})
		})
	if err != nil {
		return err
	}
	b.ratio("sqlite3, trackio move run", theirs, ours, limit)
	if peak > 0 {
		mb := func(n int64) string { return fmt.Sprintf("%d MB", (n+1<<20-1)>>20) }
		b.row("memory of trackio move run", "", "", mb(peak), mb(memoryMost), peak < memoryMost)
	}
	return nil
}

// moveBySQL moves the run by the same two transactions.
func moveBySQL(ctx context.Context, sqlite3, dir, id string) (time.Duration, error) {
	insert := fmt.Sprintf(`PRAGMA synchronous = FULL;
PRAGMA secure_delete = OFF;
ATTACH '%s' AS src;
BEGIN IMMEDIATE;
INSERT INTO main.configs (run_id, run_name, config, created_at)
	SELECT run_id, run_name, config, created_at FROM src.configs WHERE run_id = '%s';
INSERT INTO main.metrics (run_id, timestamp, run_name, step, metrics, log_id, space_id)
	SELECT run_id, timestamp, run_name, step, metrics, log_id, space_id FROM src.metrics WHERE run_id = '%[2]s' ORDER BY id;
COMMIT;`, database(dir, source), id)
	remove := fmt.Sprintf(`PRAGMA synchronous = FULL;
PRAGMA secure_delete = OFF;
BEGIN IMMEDIATE;
DELETE FROM metrics WHERE run_id = '%s';
DELETE FROM configs WHERE run_id = '%[1]s';
COMMIT;`, id)
	return timed(func() error {
		for _, step := range []struct{ project, text string }{{target, insert}, {source, remove}} {
			cmd := exec.CommandContext(ctx, sqlite3, "-init", os.DevNull, "-bail", database(dir, step.project))
			cmd.Stdin = strings.NewReader(step.text)
			if _, err := runCommand(cmd); err != nil {
				return err
			}
		}
		return nil
	})
}

// onCopy moves in a fresh copy of the two projects and looks whether the rows
// are where they belong.
func (b *bench) onCopy(ctx context.Context, store string, move func(dir string) (time.Duration, error)) (took time.Duration, err error) {
	dir, err := os.MkdirTemp(b.dir, "copy-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, project := range []string{source, target} {
		if err := copyFile(database(dir, project), database(store, project)); err != nil {
			return 0, err
		}
	}
	if took, err = move(dir); err != nil {
		return 0, err
	}
	for _, c := range []struct {
		project string
		want    string
	}{
		{source, fmt.Sprintf("before %d, after %d", otherRows, otherRows)},
		{target, fmt.Sprintf("there %d, moved %d", otherRows, movedRows)},
	} {
		got, err := contents(ctx, database(dir, c.project))
		if err != nil {
			return 0, err
		}
		if got != c.want {
			return 0, fmt.Errorf("after the move %s holds %q, not %q", c.project, got, c.want)
		}
	}
	return took, nil
}

// contents returns the runs of a database with their numbers of rows, in the
// order in which they were written.
func contents(ctx context.Context, path string) (text string, err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, `SELECT group_concat(run_name || ' ' || n, ', ') FROM
		(SELECT run_name, count(*) AS n FROM metrics JOIN configs USING (run_id, run_name) GROUP BY run_name ORDER BY min(metrics.id))`).Scan(&text)
	return text, err
}

// copyFile copies a file to the disk itself, so that nothing of it is written
// later, while something is measured.
func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(filepath.Clean(to))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// syncFile brings a file to the disk.
func syncFile(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
