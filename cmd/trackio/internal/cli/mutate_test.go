package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func TestDelete(t *testing.T) {
	r := newRig(t)
	r.fill()
	if got, want := r.ok("delete", "run", "--project", "p", "--run", "first", "--yes"), `Deleted run "first" (id-first) from project "p".`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got := r.ok("delete", "runs", "--project", "p", "--run=-quiet", "--run-id", "id-old", "--yes", "--json")
	want := `{"deleted":[{"run":"team/a 1","run_id":"id-old","project":"p"},{"run":"-quiet","run_id":"id-quiet","project":"p"}]}`
	if compact(t, got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if left := r.ok("list", "runs", "--project", "p", "--json"); !strings.Contains(left, `"id-new"`) || strings.Contains(left, "id-old") {
		t.Errorf("left: %s", left)
	}
}

// A name that means several runs is refused, whatever --yes and --force say.
func TestChangeRefusesAmbiguousNames(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("p", "first", "named otherwise", begin().Add(5*time.Hour))
	for _, args := range [][]string{
		{"delete", "run", "--project", "p", "--run", "team/a 1", "--yes", "--force"},
		{"move", "run", "--project", "p", "--run", "team/a 1", "--to", "other", "--json"},
	} {
		r.fails(2, []string{"id-old, id-new", "--run-id id-old"}, args...)
	}
	r.fails(2, []string{"id-first, first", "--run-id"}, "delete", "run", "--project", "p", "--run", "first", "--yes")
	r.ok("delete", "run", "--project", "p", "--run-id", "first", "--yes")
	if left := r.ok("list", "runs", "--project", "p"); !strings.Contains(left, "id-first") || strings.Contains(left, "named otherwise") {
		t.Errorf("left:\n%s", left)
	}
}

func TestReadTakesTheNewestAndWarns(t *testing.T) {
	r := newRig(t)
	r.fill()
	got := r.run("get", "run", "--project", "p", "--run", "team/a 1", "--json")
	if !strings.Contains(got.out, `"run_id": "id-new"`) || !strings.Contains(got.errOut, "warning: 2 runs") || !strings.Contains(got.errOut, "id-old") {
		t.Errorf("%+v", got)
	}
	if got := r.run("get", "run", "--project", "p", "--run-id", "id-old"); got.errOut != "" {
		t.Errorf("--run-id warns: %s", got.errOut)
	}
}

func TestDeleteAsks(t *testing.T) {
	for _, c := range []struct {
		answer  string
		deleted bool
	}{{"y\n", true}, {"YES\n", true}, {"n\n", false}, {"\n", false}, {"", false}, {"yep\n", false}} {
		r := newRig(t)
		r.fill()
		r.env.StdinTTY, r.env.StderrTTY = true, true
		r.vars["NO_COLOR"] = "1"
		r.env.Stdin = strings.NewReader(c.answer)
		got := r.run("delete", "run", "--project", "p", "--run", "first")
		for _, word := range []string{"first (id id-first, created 2026-01-01 00:00:00, 4 metric rows", "Delete 1 run? [y/N] "} {
			if !strings.Contains(got.errOut, word) {
				t.Errorf("the question lacks %q: %s", word, got.errOut)
			}
		}
		if asked := strings.LastIndex(got.errOut, "[y/N] "); !strings.HasSuffix(c.answer, "\n") && !strings.HasPrefix(got.errOut[asked:], "[y/N] \n") {
			t.Errorf("what follows an answer without a line end is not on a line of its own: %q", got.errOut)
		}
		gone := !strings.Contains(r.ok("list", "runs", "--project", "p"), "id-first")
		if gone != c.deleted || (got.code == 0) != c.deleted {
			t.Errorf("answer %q: deleted %v, exit code %d", c.answer, gone, got.code)
		}
	}
}

// Without a terminal, or with --json, there is nobody to ask.
func TestDeleteNeedsYes(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.fails(2, []string{"--yes"}, "delete", "run", "--project", "p", "--run", "first")
	r.env.StdinTTY, r.env.StderrTTY = true, true
	r.vars["NO_COLOR"] = "1"
	r.env.Stdin = strings.NewReader("y\n")
	r.fails(2, []string{"--yes"}, "delete", "run", "--project", "p", "--run", "first", "--json")
}

func TestMove(t *testing.T) {
	r := newRig(t)
	r.fill()
	if got, want := r.ok("move", "run", "--project", "p", "--run", "first", "--to", "my archive"), `Moved run "first" (id-first) from project "p" to "myarchive".`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got := compact(t, r.ok("move", "runs", "--project", "myarchive", "--run", "id-first", "--to", "p", "--json"))
	want := `{"moved":[{"run":"first","run_id":"id-first","project":"p","from_project":"myarchive"}]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.fails(2, []string{"already"}, "move", "run", "--project", "p", "--run", "first", "--to", "p")
	r.add("other", "id-first", "there before", begin())
	r.fails(4, nil, "move", "run", "--project", "p", "--run", "first", "--to", "other", "--json")
	r.wrap = func(b trackio.Backend) trackio.Backend { return plain{b} } // nothing native: the core copies
	if got := r.ok("move", "run", "--project", "p", "--run", "first", "--to", "elsewhere"); !strings.Contains(got, `to "elsewhere"`) {
		t.Errorf("got %q", got)
	}
}

// What was done before an error is told, and the error decides the exit code.
func TestChangeStopsAtTheFirstError(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("other", "id-old", "in the way", begin())
	got := r.run("move", "runs", "--project", "p", "--run-id", "id-first", "--run-id", "id-old", "--run-id", "id-quiet", "--to", "other", "--json")
	want := `{"moved":[{"run":"first","run_id":"id-first","project":"other","from_project":"p"}]}`
	if got.code != 4 || compact(t, got.out) != want || !strings.Contains(got.errOut, "warning: moved 1 of 3 runs before the error") {
		t.Errorf("%+v", got)
	}
	if left := r.ok("list", "runs", "--project", "p"); !strings.Contains(left, "id-old") || !strings.Contains(left, "id-quiet") {
		t.Errorf("left:\n%s", left)
	}
}

func TestLiveRunIsRefused(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.add("p", "id-live", "live", now, &trackio.Metrics{Rows: []trackio.MetricsRow{
		{Timestamp: trackio.FormatTime(now), Metrics: []byte(`{"loss":1}`)},
	}})
	r.fails(5, []string{"--force", `moving run "live": `}, "move", "run", "--project", "p", "--run", "live", "--to", "q")
	r.fails(5, []string{"--force", `deleting run "live": `}, "delete", "run", "--project", "p", "--run", "live", "--yes")
	r.ok("move", "run", "--project", "p", "--run", "live", "--to", "q", "--force")
	r.ok("delete", "run", "--project", "q", "--run", "live", "--yes", "--force")
}

func compact(t *testing.T, text string) string {
	t.Helper()
	raw, err := encodeJSON(json.RawMessage(text))
	if err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return string(raw)
}
