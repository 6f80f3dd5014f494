package sqlite

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// ListAlerts implements [trackio.AlertLister].
func (b *Backend) ListAlerts(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
	return func(yield func(trackio.Alert, error) bool) {
		alerts, err := b.listAlerts(ctx, project, opts)
		if err != nil {
			yield(trackio.Alert{}, err)
			return
		}
		for _, alert := range alerts {
			if !yield(alert, nil) {
				return
			}
		}
	}
}

func (b *Backend) listAlerts(ctx context.Context, project string, opts trackio.AlertOptions) ([]trackio.Alert, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var alerts []trackio.Alert
	err = b.readVisible(ctx, project, func(s *snapshot, gone goneRuns) error {
		alerts, err = readAlerts(ctx, s, s.schema, gone, opts)
		if err != nil {
			return err
		}
		return nameAlerts(ctx, s, s.schema, alerts)
	})
	if err != nil {
		return nil, err
	}
	return alerts, nil
}

func readAlerts(ctx context.Context, q querier, s *schema, gone goneRuns, opts trackio.AlertOptions) ([]trackio.Alert, error) {
	t := s.table("alerts")
	if t == nil {
		return nil, nil
	}
	where, args := []string{t.key + " IS NOT NULL"}, []any(nil)
	if opts.RunID != "" {
		where, args = append(where, t.key+" = ?"), append(args, opts.RunID)
	}
	if opts.Level != "" && t.has["level"] {
		where, args = append(where, "level = ?"), append(args, opts.Level)
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf(`SELECT rowid, %s, timestamp, title, %s, %s, %s, %s FROM alerts WHERE %s ORDER BY timestamp DESC, rowid DESC`,
		t.key, t.column("text"), t.column("level"), t.column("step"), t.column("alert_id"), strings.Join(where, " AND ")), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var alerts []trackio.Alert
	for rows.Next() {
		var rowid int64
		var id, timestamp string
		values := make([]any, 5)
		if err := rows.Scan(&rowid, &id, &timestamp, &values[0], &values[1], &values[2], &values[3], &values[4]); err != nil {
			return nil, err
		}
		if gone[id] || !since(opts, timestamp) {
			continue
		}
		row, err := alertRow(timestamp, values)
		if err != nil {
			return nil, errRow("alerts", rowid, err)
		}
		alerts = append(alerts, trackio.Alert{RunID: id, AlertRow: row})
	}
	return alerts, rows.Err()
}

// since reports whether an alert is recent enough; one whose time cannot be read
// is rather shown than hidden.
func since(opts trackio.AlertOptions, timestamp string) bool {
	if opts.Since.IsZero() {
		return true
	}
	at, err := trackio.ParseTime(timestamp)
	return err != nil || !at.Before(opts.Since)
}

// nameAlerts fills in the names of the runs, each looked up once.
func nameAlerts(ctx context.Context, q querier, s *schema, alerts []trackio.Alert) error {
	names := map[string]string{}
	for i := range alerts {
		id := alerts[i].RunID
		if _, ok := names[id]; !ok {
			first, err := oldest(ctx, q, s, id)
			if err != nil {
				return err
			}
			if first != nil {
				names[id] = first.name
			}
		}
		alerts[i].RunName = names[id]
	}
	return nil
}
