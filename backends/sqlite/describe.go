package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// runIDs returns the ids of all runs that have rows or a config, in no order.
// Where an index begins with the id, it is asked for the next greater one again
// and again: the cost depends on the number of runs, not of rows.
func runIDs(ctx context.Context, q querier, s *schema) ([]string, error) {
	var ids []string
	for _, name := range [...]string{"metrics", "system_metrics", "alerts", "traces", "configs"} {
		t := s.table(name)
		if t == nil {
			continue
		}
		more, err := readStrings(ctx, q, idsQuery(t))
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func idsQuery(t *table) string {
	if !t.indexed() {
		return fmt.Sprintf(`SELECT DISTINCT %[1]s FROM %[2]s WHERE %[1]s IS NOT NULL`, t.key, t.name)
	}
	return fmt.Sprintf(`WITH RECURSIVE ids(id) AS (
		SELECT min(%[1]s) FROM %[2]s
		UNION ALL
		SELECT (SELECT min(%[1]s) FROM %[2]s WHERE %[1]s > ids.id) FROM ids WHERE ids.id IS NOT NULL
	) SELECT id FROM ids WHERE id IS NOT NULL`, t.key, t.name)
}

func readStrings(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// readRun describes one run; errNoRun when nothing of it is there.
func readRun(ctx context.Context, q querier, s *schema, ref trackio.RunRef, opts trackio.ListOptions) (trackio.RunInfo, error) {
	info := trackio.RunInfo{RunRef: ref}
	first, err := oldest(ctx, q, s, ref.ID)
	if err != nil {
		return info, err
	}
	if first == nil {
		return info, errNoRun(ref)
	}
	info.Name = first.name
	info.CreatedAt = storedTime(first.timestamp)
	if s.key == "run_name" {
		info.DerivedID = trackio.DeriveRunID(ref.Project, first.name, first.timestamp)
	}
	if opts.Config {
		config, err := readConfig(ctx, q, s, ref.ID)
		if err != nil {
			return info, err
		}
		if config != nil {
			info.Config = config.JSON
		}
	}
	if opts.Latest {
		if info.LastStep, info.UpdatedAt, err = latestOf(ctx, q, s, ref.ID); err != nil {
			return info, err
		}
	}
	if opts.Counts {
		if info.Counts, err = countKinds(ctx, q, s, ref.ID); err != nil {
			return info, err
		}
	}
	return info, nil
}

// storedTime reads a timestamp; one that is none is an unknown time.
func storedTime(text string) time.Time {
	t, err := trackio.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// firstRow is what the oldest row of a run says about it.
type firstRow struct{ name, timestamp string }

// oldest returns the oldest of a run's metrics; when it has none, of its other
// rows; when it has no rows, its config; nil when there is nothing.
func oldest(ctx context.Context, q querier, s *schema, id string) (*firstRow, error) {
	var first *firstRow
	for _, name := range rowTables {
		t := s.table(name)
		if t == nil {
			continue
		}
		var row firstRow
		err := q.QueryRowContext(ctx, fmt.Sprintf(
			`SELECT run_name, timestamp FROM %s WHERE %s = ? ORDER BY timestamp, rowid LIMIT 1`, t.name, t.key), id).
			Scan(&row.name, &row.timestamp)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if name == "metrics" {
			return &row, nil
		}
		if first == nil || row.timestamp < first.timestamp {
			first = &row
		}
	}
	t := s.table("configs")
	if first != nil || t == nil {
		return first, nil
	}
	var row firstRow
	err := q.QueryRowContext(ctx, fmt.Sprintf(
		`SELECT run_name, coalesce(%s, '') FROM configs WHERE %s = ? ORDER BY rowid DESC LIMIT 1`, t.column("created_at"), t.key), id).
		Scan(&row.name, &row.timestamp)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &row, err
}

// readConfig returns the config of a run, nil when it has none.
func readConfig(ctx context.Context, q querier, s *schema, id string) (*trackio.Config, error) {
	t := s.table("configs")
	if t == nil {
		return nil, nil
	}
	var config trackio.Config
	var rowid int64
	var payload []byte
	err := q.QueryRowContext(ctx, fmt.Sprintf(
		`SELECT rowid, config, coalesce(%s, '') FROM configs WHERE %s = ? ORDER BY rowid DESC LIMIT 1`, t.column("created_at"), t.key), id).
		Scan(&rowid, &payload, &config.CreatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid(payload) {
		return nil, errRow("configs", rowid, errNotJSON(payload))
	}
	config.JSON = payload
	return &config, nil
}

// errRow names the row whose payload cannot be read.
func errRow(table string, rowid int64, err error) error {
	return trackio.Errorf(trackio.ErrDataLoss, "row %d of table %s: %w", rowid, table, err)
}

// latestOf returns the highest step of the metrics and the latest timestamp of
// any row.
func latestOf(ctx context.Context, q querier, s *schema, id string) (*int64, time.Time, error) {
	var step *int64
	var last string
	for _, name := range rowTables {
		t := s.table(name)
		if t == nil {
			continue
		}
		if name == "metrics" {
			err := q.QueryRowContext(ctx, fmt.Sprintf(`SELECT max(step) FROM metrics WHERE %s = ?`, t.key), id).Scan(&step)
			if err != nil {
				return nil, time.Time{}, err
			}
		}
		var at string
		err := q.QueryRowContext(ctx, fmt.Sprintf(`SELECT coalesce(max(timestamp), '') FROM %s WHERE %s = ?`, t.name, t.key), id).Scan(&at)
		if err != nil {
			return nil, time.Time{}, err
		}
		last = max(last, at)
	}
	return step, storedTime(last), nil
}

// countKinds counts the rows of a run.
func countKinds(ctx context.Context, q querier, s *schema, id string) (*trackio.Counts, error) {
	var counts trackio.Counts
	for i, n := range [...]*int64{&counts.Metrics, &counts.SystemMetrics, &counts.Alerts, &counts.Traces} {
		t := s.table(rowTables[i])
		if t == nil {
			continue
		}
		err := q.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*) FROM %s WHERE %s = ?`, t.name, t.key), id).Scan(n)
		if err != nil {
			return nil, err
		}
	}
	return &counts, nil
}

// revision returns a text that changes with any change of the run: it is made of
// its name, its config, and of each kind of rows the number, the first and the
// last, and how many are not delivered. Rows are added and removed but never
// rewritten by Trackio. An unknown run has a revision too.
func (b *Backend) revision(ctx context.Context, q querier, s *schema, id string) (string, error) {
	return revisionUpTo(ctx, q, s, id, nil)
}

// lastRows returns the last rowid that a run has in each table.
func lastRows(ctx context.Context, q querier, s *schema, id string) (map[string]int64, error) {
	last := map[string]int64{}
	for _, name := range rowTables {
		t := s.table(name)
		if t == nil {
			continue
		}
		var rowid int64
		err := q.QueryRowContext(ctx, fmt.Sprintf(`SELECT coalesce(max(rowid), 0) FROM %s WHERE %s = ?`, t.name, t.key), id).Scan(&rowid)
		if err != nil {
			return nil, err
		}
		last[name] = rowid
	}
	return last, nil
}

// revisionUpTo is the revision without the rows that came after the last ones
// given, by table; nil for all rows.
func revisionUpTo(ctx context.Context, q querier, s *schema, id string, last map[string]int64) (string, error) {
	sum := sha256.New()
	first, err := oldest(ctx, q, s, id)
	if err != nil {
		return "", err
	}
	if first != nil {
		fmt.Fprintf(sum, "%q\n", first.name)
	}
	config, err := readConfig(ctx, q, s, id)
	if err != nil {
		return "", err
	}
	if config != nil {
		fmt.Fprintf(sum, "config %q %q\n", config.CreatedAt, config.JSON)
	}
	for _, name := range rowTables {
		t := s.table(name)
		if t == nil {
			continue
		}
		where, args := "+"+t.key+" = ?", []any{id}
		if last != nil {
			where, args = where+" AND +rowid <= ?", append(args, last[name])
		}
		var n, from, to, pending int64
		err := q.QueryRowContext(ctx, fmt.Sprintf(
			`SELECT count(*), coalesce(min(rowid), 0), coalesce(max(rowid), 0) FROM %s WHERE %s`, t.name, where[1:]), args...).Scan(&n, &from, &to)
		if err == nil && n > 0 && t.has["space_id"] {
			pending, err = countUndelivered(ctx, q, t, where, args)
		}
		if err != nil {
			return "", err
		}
		if n > 0 {
			fmt.Fprintf(sum, "%s %d %d %d %d\n", name, n, from, to, pending)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// countUndelivered counts the rows of a run that are not delivered. They are few,
// so that their partial index serves where there is one; the + of the condition
// keeps the index of the runs out.
func countUndelivered(ctx context.Context, q querier, t *table, where string, args []any) (n int64, err error) {
	if !t.pending {
		where = where[1:]
	}
	err = q.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*) FROM %s WHERE space_id IS NOT NULL AND %s`, t.name, where), args...).Scan(&n)
	return n, err
}
