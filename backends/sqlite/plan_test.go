package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// recorder notes the queries that pass, with their arguments.
type recorder struct {
	querier
	queries []string
	args    [][]any
}

func (r *recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.queries, r.args = append(r.queries, query), append(r.args, args)
	return r.querier.QueryContext(ctx, query, args...)
}

func (r *recorder) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	r.queries, r.args = append(r.queries, query), append(r.args, args)
	return r.querier.QueryRowContext(ctx, query, args...)
}

// plans returns the steps of SQLite's plans for the queries that passed.
func (r *recorder) plans(t *testing.T) map[string]string {
	t.Helper()
	plans := map[string]string{}
	for i, query := range r.queries {
		rows, err := r.querier.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, r.args[i]...)
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		for rows.Next() {
			var a, b, c int
			var detail string
			if err := rows.Scan(&a, &b, &c, &detail); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, detail)
		}
		rows.Close()
		plans[query] = strings.Join(steps, "; ")
	}
	return plans
}

// A listing, a revision and an export go through the indexes of the rows: none
// reads the rows of other runs, and an export sorts no metrics.
func TestPlansUseIndexes(t *testing.T) {
	for _, gen := range generations {
		t.Run(string(gen), func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "demo", gen)
			fillProject(p)
			p.done()
			b := openDir(t, dir)
			s, err := b.openRead(t.Context(), "demo")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			r := &recorder{querier: s.Tx}
			ids, err := runIDs(t.Context(), r, s.schema)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				ref := trackio.RunRef{Project: "demo", ID: id}
				if _, err := readRun(t.Context(), r, s.schema, ref, trackio.ListOptions{Config: true, Latest: true, Counts: true}); err != nil {
					t.Fatal(err)
				}
				if _, err := b.revision(t.Context(), r, s.schema, id); err != nil {
					t.Fatal(err)
				}
			}
			from := int64(2)
			for _, opts := range []trackio.ExportOptions{{}, {Steps: trackio.Range[int64]{From: &from}}} {
				e := &exporter{ref: trackio.RunRef{Project: "demo", ID: ids[0]}, opts: opts}
				for _, reader := range rowReaders() {
					if table := s.schema.table(reader.table); table != nil {
						query, args := e.query(table, reader, true, &position{stampAt(0), 3})
						r.queries, r.args = append(r.queries, query), append(r.args, args)
					}
				}
			}
			if len(r.queries) < 10 {
				t.Fatalf("only %d queries were seen", len(r.queries))
			}
			for query, plan := range r.plans(t) {
				for _, table := range rowTables {
					if strings.Contains(plan, "SCAN "+table) {
						t.Errorf("%s\nscans: %s", query, plan)
					}
				}
				if strings.Contains(plan, "TEMP B-TREE") && strings.Contains(query, "FROM metrics") && !strings.Contains(query, "step >= ?") {
					t.Errorf("%s\nsorts: %s", query, plan)
				}
			}
		})
	}
}
