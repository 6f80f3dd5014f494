package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// runRows says which rows a run gets.
type runRows struct {
	id, name string
	rows     int
	// random: the rows have random log ids, as Trackio's have; else they count up,
	// which is as good where nobody moves them and much faster to write.
	random bool
}

// runID returns an id in Trackio's form, greater for a greater number.
func runID(n int) string { return fmt.Sprintf("%032x", 1<<60+n) }

// generate writes a project in today's schema: runs with a config and, one a
// second, rows whose payloads have about 100 bytes.
func generate(ctx context.Context, store, project string, runs []runRows) (err error) {
	if err := createProject(ctx, store, project); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", database(store, project))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	// A file that nobody has yet needs no journal. WAL, as Trackio left it, is
	// what it has again in the end.
	for _, text := range []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -16384", "BEGIN"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	for i, run := range runs {
		begin := time.Date(2025, 1, 1, i%24, 0, 0, 0, time.UTC).Unix()
		_, err := db.ExecContext(ctx, `INSERT INTO configs (run_id, run_name, config, created_at)
			VALUES (?, ?, CAST('{"lr":0.001,"batch_size":64}' AS BLOB), strftime('%Y-%m-%dT%H:%M:%S+00:00', ?, 'unixepoch'))`, run.id, run.name, begin)
		if err != nil {
			return err
		}
		logID := "printf('%s%07x', substr(?1, 8, 25), n)"
		if run.random {
			logID = "lower(hex(randomblob(16)))"
		}
		_, err = db.ExecContext(ctx, `INSERT INTO metrics (run_id, timestamp, run_name, step, metrics, log_id)
			WITH RECURSIVE steps(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM steps WHERE n + 1 < ?4)
			SELECT ?1, strftime('%Y-%m-%dT%H:%M:%S+00:00', ?3 + n, 'unixepoch'), ?2, n,
				CAST(printf('{"train/loss":%.15f,"train/accuracy":%.15f,"lr":0.0003,"epoch":%d,"grad_norm":1.375}', 2.0 / (n + 3), 1 - 0.9 / (n + 1), n / 1000) AS BLOB), `+logID+`
			FROM steps`, run.id, run.name, begin, run.rows)
		if err != nil {
			return err
		}
	}
	for _, text := range []string{"COMMIT", "PRAGMA journal_mode = WAL"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return syncFile(database(store, project))
}

func database(store, project string) string { return filepath.Join(store, project+".db") }

// createProject lets the backend make the empty database of a project, with the
// tables and indexes that a run gets.
func createProject(ctx context.Context, store, project string) (err error) {
	backend, err := sqlite.Open(ctx, sqlite.Config{Dir: store})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	ref := trackio.RunRef{Project: project, ID: "first"}
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = backend.ImportRun(ctx, ref, func(yield func(trackio.Record, error) bool) {
		header := &trackio.Header{RunInfo: trackio.RunInfo{RunRef: ref, Name: "first", CreatedAt: at}, Kinds: trackio.AllKinds}
		_ = yield(header, nil) && yield(&trackio.Config{JSON: []byte(`{}`), CreatedAt: trackio.FormatTime(at)}, nil)
	})
	if err != nil {
		return err
	}
	return backend.DeleteRun(ctx, ref, trackio.DeleteOptions{})
}
