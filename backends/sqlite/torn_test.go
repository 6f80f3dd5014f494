package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// tornReads loses the rows of all other runs between two statements, as a read
// without locks can while the database is written to.
type tornReads struct {
	querier
	p    *fakeProject
	keep string
}

func (q *tornReads) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if strings.Contains(query, "SELECT run_name, timestamp") {
		q.p.exec("DELETE FROM metrics WHERE run_id <> ?", q.keep)
	}
	return q.querier.QueryRowContext(ctx, query, args...)
}

// What is read may contradict itself until the files have been looked at again.
func TestTornReadOfMedia(t *testing.T) {
	p := newProject(t, t.TempDir(), "p", genTraces)
	p.metric(fakeRun{"id-1", "run"}, stampAt(0), 0, `{"img":`+p.media("p/run/0/a.png", "a")+`}`)
	p.metric(fakeRun{"id-2", "run"}, stampAt(1), 0, `{}`)
	s, err := readSchema(t.Context(), p.db)
	if err != nil {
		t.Fatal(err)
	}
	m, err := findMedia(t.Context(), &tornReads{p.db, p, "id-1"}, s, trackio.RunRef{Project: "p", ID: "id-1"}, "run")
	if err != nil || len(m.texts) != 1 {
		t.Errorf("got %+v, %v", m, err)
	}
}
