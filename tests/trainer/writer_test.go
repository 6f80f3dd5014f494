//go:build trainer && unix

package trainer

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver
)

const (
	batchEvery = 500 * time.Millisecond
	batchRows  = 500 // 1,000 rows a second
	mediaEvery = 100 // of the rows, each comes with a media file
	lockTries  = 100 // Python's: then the batch is gone
	lockPause  = 100 * time.Millisecond
)

// trainer is a process that logs a run as Python Trackio's training process
// does. It shares no code with what it is to live beside.
type trainer struct {
	dir, project, name, id string

	next   int // row
	report report
}

// report is what a trainer has done, told when its input ends.
type report struct {
	Rows    int           // logged, without those that were lost
	Media   int           // files written
	Batches int           //
	Lost    []int         // batches that were given up, by number
	Errors  []string      // why
	Wait    time.Duration // the longest for a lock
	Batch   time.Duration // the longest from a first try to a commit
}

// trainerVariable tells this binary, as a process of its own, what to log.
const trainerVariable = "TRACKIO_TRAINER_RUN"

// runTrainer logs until its input ends.
func runTrainer(args []string) error {
	t := &trainer{dir: args[0], project: args[1], name: args[2], id: args[3]}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	ticks := time.NewTicker(batchEvery)
	defer ticks.Stop()
	// The files of a batch are written as it is logged, its rows when it is sent.
	batch, err := t.compose()
	for ; err == nil; batch, err = t.compose() {
		select {
		case <-ticks.C:
		case <-ended:
			t.send(batch)
			return json.NewEncoder(os.Stdout).Encode(t.report)
		}
		t.send(batch)
		if t.report.Batches == 2 {
			fmt.Println("ready")
		}
	}
	return err
}

type row struct {
	step                     int
	logID, timestamp, metric string
}

// compose makes the next batch, and its media files.
func (t *trainer) compose() ([]row, error) {
	batch := make([]row, batchRows)
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000+00:00")
	for i := range batch {
		step := t.next
		t.next++
		metric := fmt.Sprintf(`{"loss":%d.5,"accuracy":0.%d,"epoch":%d}`, step%97, step%1000, step/1000)
		if step%mediaEvery == 0 {
			path := mediaPath(t.project, t.name, t.id, step)
			name := filepath.Join(t.dir, "media", path)
			if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
				return nil, err
			}
			if err := os.WriteFile(name, []byte(mediaContent(t.id, step)), 0o666); err != nil {
				return nil, err
			}
			t.report.Media++
			metric = fmt.Sprintf(`{"loss":%d.5,"img":{"_type":"trackio.image","file_path":"%s","caption":null}}`, step%97, path)
		}
		batch[i] = row{step: step, logID: logID(t.id, step), timestamp: now, metric: metric}
	}
	return batch, nil
}

func mediaPath(project, name, id string, step int) string {
	return fmt.Sprintf("%s/%s/%d/%s-%d.png", project, name, step, id, step)
}

func mediaContent(id string, step int) string { return fmt.Sprintf("image %d of %s", step, id) }
func logID(id string, step int) string        { return fmt.Sprintf("%s-%d", id, step) }

// send stores a batch, or gives it up.
func (t *trainer) send(batch []row) {
	begun := time.Now()
	number := t.report.Batches
	t.report.Batches++
	err := t.locked(t.initDB)
	if err == nil {
		err = t.locked(func(db *sql.DB) error { return t.insert(db, batch) })
	}
	if err != nil {
		t.report.Lost = append(t.report.Lost, number)
		t.report.Errors = append(t.report.Errors, err.Error())
		return
	}
	t.report.Rows += len(batch)
	t.report.Batch = max(t.report.Batch, time.Since(begun))
}

// locked does work on a connection of its own under the project's lock.
func (t *trainer) locked(work func(*sql.DB) error) error {
	lock, err := os.OpenFile(filepath.Join(t.dir, t.project+".lock"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer lock.Close()
	begun := time.Now()
	for try := 1; ; try++ {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		t.report.Wait = max(t.report.Wait, time.Since(begun))
		if err == nil {
			break
		}
		if try == lockTries {
			return errors.New("could not acquire the database lock after 10 seconds")
		}
		time.Sleep(lockPause)
	}
	db, err := openAsPython(t.dir, t.project)
	if err != nil {
		return err
	}
	return errors.Join(work(db), db.Close())
}

// openAsPython opens a database with the settings of Python Trackio.
func openAsPython(dir, project string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, project+".db")+
		"?_pragma=busy_timeout(30000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=temp_store(memory)&_pragma=cache_size(-20000)&_pragma=mmap_size(0)")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// initDB is done before every batch.
func (t *trainer) initDB(db *sql.DB) error {
	for _, statement := range pythonSchema {
		if _, err := db.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

func (t *trainer) insert(db *sql.DB, batch []row) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	metrics, err := tx.Prepare("INSERT OR IGNORE INTO metrics (timestamp, run_id, run_name, step, metrics, log_id, space_id) VALUES (?, ?, ?, ?, ?, ?, NULL)")
	if err != nil {
		return err
	}
	defer metrics.Close()
	for _, r := range batch {
		if _, err := metrics.Exec(r.timestamp, t.id, t.name, r.step, []byte(r.metric), r.logID); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// pythonSchema are the tables that runs have, as Python Trackio 0.36 makes them.
var pythonSchema = []string{
	`CREATE TABLE IF NOT EXISTS metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL, log_id TEXT, space_id TEXT)`,
	`CREATE TABLE IF NOT EXISTS configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, run_name TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE(run_id))`,
	`CREATE TABLE IF NOT EXISTS system_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, metrics TEXT NOT NULL, log_id TEXT, space_id TEXT)`,
	`CREATE TABLE IF NOT EXISTS traces (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, key TEXT NOT NULL, trace_index INTEGER, messages TEXT NOT NULL, metadata TEXT NOT NULL, search_text TEXT NOT NULL, log_id TEXT, space_id TEXT)`,
	`CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, timestamp TEXT NOT NULL, run_name TEXT NOT NULL, title TEXT NOT NULL, text TEXT, level TEXT NOT NULL DEFAULT 'warn', step INTEGER, alert_id TEXT)`,
	`CREATE INDEX IF NOT EXISTS idx_metrics_run_step ON metrics(run_id, step)`,
	`CREATE INDEX IF NOT EXISTS idx_metrics_run_timestamp ON metrics(run_id, timestamp)`,
	`CREATE INDEX IF NOT EXISTS idx_configs_run_name ON configs(run_name)`,
	`CREATE INDEX IF NOT EXISTS idx_system_metrics_run_timestamp ON system_metrics(run_id, timestamp)`,
	`CREATE INDEX IF NOT EXISTS idx_traces_run_step ON traces(run_id, step)`,
	`CREATE INDEX IF NOT EXISTS idx_traces_run_timestamp ON traces(run_id, timestamp)`,
	`CREATE INDEX IF NOT EXISTS idx_traces_search ON traces(search_text)`,
	`CREATE INDEX IF NOT EXISTS idx_alerts_run ON alerts(run_id)`,
	`CREATE UNIQUE INDEX IF NOT EXISTS idx_alerts_alert_id ON alerts(alert_id) WHERE alert_id IS NOT NULL`,
	`CREATE UNIQUE INDEX IF NOT EXISTS idx_metrics_log_id ON metrics(log_id) WHERE log_id IS NOT NULL`,
	`CREATE INDEX IF NOT EXISTS idx_metrics_pending ON metrics(space_id) WHERE space_id IS NOT NULL`,
	`CREATE UNIQUE INDEX IF NOT EXISTS idx_system_metrics_log_id ON system_metrics(log_id) WHERE log_id IS NOT NULL`,
	`CREATE INDEX IF NOT EXISTS idx_system_metrics_pending ON system_metrics(space_id) WHERE space_id IS NOT NULL`,
}

// training is a trainer under way, seen from the test.
type training struct {
	project, name, id string

	cmd   *exec.Cmd
	stop  io.Closer
	lines *bufio.Reader
}

// startTraining starts a trainer and returns when its first batches are in.
func startTraining(t *testing.T, dir, project, name, id string) *training {
	t.Helper()
	run := &training{project: project, name: name, id: id}
	run.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], dir, project, name, id)
	run.cmd.Env = append(os.Environ(), trainerVariable+"=1")
	run.cmd.Stderr = os.Stderr
	in, err1 := run.cmd.StdinPipe()
	out, err2 := run.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, run.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	run.stop, run.lines = in, bufio.NewReader(out)
	t.Cleanup(func() { _ = run.cmd.Process.Kill(); _ = run.cmd.Wait() })
	if line, err := run.lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("trainer of %s: %q, %v", id, line, err)
	}
	return run
}

// end lets the trainer send its last batch and returns its report.
func (run *training) end(t *testing.T) report {
	t.Helper()
	var r report
	if err := run.stop.Close(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(run.lines).Decode(&r); err != nil {
		t.Fatalf("trainer of %s: %v", run.id, err)
	}
	if err := run.cmd.Wait(); err != nil {
		t.Fatalf("trainer of %s: %v", run.id, err)
	}
	return r
}
