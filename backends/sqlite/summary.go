package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// SummarizeRun implements [trackio.Summarizer]. The names of the metrics are
// found by reading the keys of every row; the values are passed over.
func (b *Backend) SummarizeRun(ctx context.Context, ref trackio.RunRef) (trackio.Summary, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.Summary{}, err
	}
	defer leave()
	var sum trackio.Summary
	err = b.readVisible(ctx, ref.Project, func(s *snapshot, gone goneRuns) (err error) {
		if gone[ref.ID] {
			return errNoRun(ref)
		}
		sum, err = b.summarize(ctx, s, s.schema, ref)
		return err
	})
	if err != nil {
		return trackio.Summary{}, err
	}
	return sum, nil
}

func (b *Backend) summarize(ctx context.Context, q querier, s *schema, ref trackio.RunRef) (sum trackio.Summary, err error) {
	info, err := readRun(ctx, q, s, ref, trackio.ListOptions{Latest: true, Counts: true})
	if err != nil {
		return sum, err
	}
	runs := []trackio.RunInfo{info}
	if err := b.addPending(ctx, ref.Project, s.key, runs); err != nil {
		return sum, err
	}
	sum.Counts, sum.LastStep = *runs[0].Counts, info.LastStep
	if sum.MetricNames, err = metricNames(ctx, q, s.table("metrics"), ref.ID); err != nil {
		return sum, err
	}
	sum.SystemMetrics, err = metricNames(ctx, q, s.table("system_metrics"), ref.ID)
	return sum, err
}

// metricNames returns the top-level keys of the payloads of a run.
func metricNames(ctx context.Context, q querier, t *table, id string) ([]string, error) {
	if t == nil {
		return nil, nil
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf(`SELECT rowid, metrics FROM %s WHERE %s = ?`, t.name, t.key), id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tokens := map[string]bool{} // keys as they are written
	for rows.Next() {
		var rowid int64
		var payload sql.RawBytes
		if err := rows.Scan(&rowid, &payload); err != nil {
			return nil, err
		}
		if !eachKey(payload, func(tok []byte) {
			if !tokens[string(tok)] {
				tokens[string(tok)] = true
			}
		}) {
			return nil, errRow(t.name, rowid, errNotJSON(payload))
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for tok := range tokens {
		if name, ok := decodeJSONString([]byte(tok)); ok {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// eachKey calls visit with the string token of each top-level key of an object.
// It reports false when the payload is no JSON object.
func eachKey(payload []byte, visit func(tok []byte)) bool {
	s := refScanner{data: payload, f: func(path string) string { return path }, visit: visit}
	if s.space(); s.peek() != '{' || !s.object(0) {
		return false
	}
	s.space()
	return s.at == len(payload)
}
