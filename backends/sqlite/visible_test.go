package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// Between the two commits of a move the rows are in both databases, and readers
// find the run in the target alone; before the first commit in the source alone.
func TestMovingRunIsInOnePlace(t *testing.T) {
	dir := t.TempDir()
	source := newProject(t, dir, "source", genTraces)
	fillProject(source)
	source.done()
	target := newProject(t, dir, "target", genTraces)
	target.metric(fakeRun{"other", "other"}, stampAt(1), 1, `{}`)
	target.done()
	b := openDir(t, dir)
	op := b.newOperation(opMove)
	op.Source, op.RunID, op.RunName, op.Target, op.NewID = "source", "id-a", "train", "target", "id-a"
	if err := b.begin(op); err != nil {
		t.Fatal(err)
	}
	where := func() (places []string) {
		for _, project := range []string{"source", "target"} {
			ref := trackio.RunRef{Project: project, ID: "id-a"}
			listed := false
			for _, run := range listAll(t, b, project) {
				listed = listed || run.ID == "id-a"
			}
			_, err1 := b.GetRun(t.Context(), ref)
			_, err2 := export(t.Context(), b, ref, trackio.ExportOptions{Kinds: trackio.KindMetrics})
			_, err3 := b.SummarizeRun(t.Context(), ref)
			for _, err := range []error{err1, err2, err3} {
				if (err == nil) != listed || err != nil && !errors.Is(err, trackio.ErrNotFound) {
					t.Errorf("listed in %s: %t; read: %v", project, listed, err)
				}
			}
			for alert, err := range b.ListAlerts(t.Context(), project, trackio.AlertOptions{RunID: "id-a"}) {
				if !listed {
					t.Errorf("alert %v, %v in %s", alert, err, project)
				}
			}
			if listed {
				places = append(places, project)
			}
		}
		return places
	}
	if got := where(); len(got) != 1 || got[0] != "source" {
		t.Errorf("before the commit in the target it is in %q", got)
	}
	var err error
	if target.db, err = openForTest(filepath.Join(dir, "target.db")); err != nil {
		t.Fatal(err)
	}
	target.metric(fakeRun{"id-a", "train"}, stampAt(1), 1, `{"a":1}`)
	target.done()
	if got := where(); len(got) != 1 || got[0] != "target" {
		t.Errorf("after the commit in the target it is in %q", got)
	}
	if err := b.end(op); err != nil {
		t.Fatal(err)
	}
	// Without a journal both are what they are: two runs of one id in two projects.
	if got := where(); len(got) != 2 {
		t.Errorf("without the journal it is in %q", got)
	}
}

// Rows that wait in the inbox are counted for the runs that are there; lines that
// are no rows, and other projects', are passed over.
func TestPendingRows(t *testing.T) {
	for _, gen := range []generation{genNames, genTraces} {
		t.Run(string(gen), func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "mydemo", gen)
			p.metric(fakeRun{"x", "run"}, stampAt(1), 1, `{}`)
			p.done()
			for name, lines := range map[string]string{
				"w1/00000000.jsonl": `{"v":1,"kind":"metric","project":"my demo","run":"run","run_id":"x","metrics":{}}
{"v":1,"kind":"system_metric","project":"mydemo","run":"run","run_id":"x"}
{"v":2,"kind":"metric","project":"mydemo","run":"run","run_id":"x"}
{"v":1,"kind":"metric","project":"else","run":"run","run_id":"x"}
{"v":1,"kind":"metric","project":"mydemo","run":"new","run_id":"y"}
not json
`,
				"w2/00000007.jsonl": `{"v":1,"kind":"alert","project":"mydemo","run":"run","run_id":"x"}
{"v":1,"kind":"metric","project":"mydemo","run":"run","run_id":"x","met`,
				"w2/00000008.tmp": `{"v":1,"kind":"metric","project":"mydemo","run":"run","run_id":"x"}`,
			} {
				path := filepath.Join(dir, "inbox", name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(lines), 0o666)); err != nil {
					t.Fatal(err)
				}
			}
			before := treeOf(t, dir)
			b := openDir(t, dir)
			runs := listAll(t, b, "mydemo")
			if len(runs) != 1 || *runs[0].Counts != (trackio.Counts{Metrics: 1, Pending: 4}) {
				t.Errorf("runs %+v, %+v", runs, runs[0].Counts)
			}
			sum, err := b.SummarizeRun(t.Context(), runs[0].RunRef)
			if err != nil || sum.Pending != 4 {
				t.Errorf("summary %+v, %v", sum, err)
			}
			sameTree(t, dir, before)
		})
	}
}
