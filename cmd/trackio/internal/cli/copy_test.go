package cli

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestCopy(t *testing.T) {
	r := newRig(t)
	r.fill()
	got, want := r.ok("copy", "run", "--project", "p", "--run", "first", "--to", "my archive"),
		`Copied run "first" (id-first) from project "p" to "myarchive": 8 rows, 1 file of 3 bytes.`+"\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, args := range [][]string{
		{"get", "run", "--run", "first", "--json"},
		{"list", "alerts", "--json"},
		{"get", "metric", "--run", "first", "--metric", "img", "--json"},
	} {
		was, is := r.ok(append(args, "--project", "p")...), r.ok(append(args, "--project", "myarchive")...)
		if is != strings.NewReplacer(`"project": "p"`, `"project": "myarchive"`, `"p/first/`, `"myarchive/first/`).Replace(was) {
			t.Errorf("%q: the copy is\n%s, not\n%s", args, is, was)
		}
	}
	got = compact(t, r.ok("copy", "runs", "--project", "p", "--run-id", "id-old", "--run=-quiet", "--to", "myarchive", "--json"))
	want = `{"copied":[{"run":"team/a 1","run_id":"id-old","project":"myarchive","from_project":"p","rows":1,"files":0,"bytes":0,"missing_files":0},` +
		`{"run":"-quiet","run_id":"id-quiet","project":"myarchive","from_project":"p","rows":0,"files":0,"bytes":0,"missing_files":0}]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if left := r.ok("list", "runs", "--project", "p"); strings.Count(left, "\n") != 5 {
		t.Errorf("left:\n%s", left)
	}
}

// A copy under a new id is a run of its own, also in the same project.
func TestCopyWithANewID(t *testing.T) {
	r := newRig(t)
	r.fill()
	uuid := regexp.MustCompile(`^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$`)
	seen := map[string]bool{}
	for range 3 {
		var got struct {
			Copied []struct {
				Run, Project string
				RunID        string `json:"run_id"`
				FromRunID    string `json:"from_run_id"`
				FromProject  string `json:"from_project"`
				Rows         int
			}
		}
		if err := json.Unmarshal([]byte(r.ok("copy", "run", "--project", "p", "--run-id", "id-first", "--new-id", "--json")), &got); err != nil {
			t.Fatal(err)
		}
		c := got.Copied[0]
		if !uuid.MatchString(c.RunID) || seen[c.RunID] || c.FromRunID != "id-first" || c.Project != "p" || c.FromProject != "p" || c.Run != "first" || c.Rows != 8 {
			t.Errorf("%+v", c)
		}
		seen[c.RunID] = true
	}
	got := r.ok("copy", "run", "--project", "p", "--run-id", "id-quiet", "--to", "other", "--new-id")
	if !regexp.MustCompile(`^Copied run "-quiet" \(id-quiet\) from project "p" to "other"; the id of the copy is [0-9a-f]{32}: 0 rows, 0 files\.\n$`).MatchString(got) {
		t.Errorf("%q", got)
	}
	if list := r.ok("list", "runs", "--project", "p"); strings.Count(list, "\nfirst ") != 4 {
		t.Errorf("listed:\n%s", list)
	}
}

func TestCopyRefuses(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("other", "id-first", "there before", begin())
	for _, args := range []string{"", "--to p", "--to other", "--force --json"} {
		r.fails(4, []string{"--new-id"}, append([]string{"copy", "run", "--project", "p", "--run", "first"}, strings.Fields(args)...)...)
	}
	r.ok("copy", "run", "--project", "p", "--run-id", "id-old", "--to", "other")
	r.fails(4, []string{"very same run", "--new-id"}, "copy", "run", "--project", "p", "--run-id", "id-old", "--to", "other")
	r.fails(2, []string{"id-old, id-new"}, "copy", "run", "--project", "p", "--run", "team/a 1", "--to", "q")
	r.fails(2, []string{"reserved"}, "copy", "run", "--project", "p", "--run", "first", "--to", "registry-x")
	r.fails(3, nil, "copy", "run", "--project", "p", "--run", "nobody", "--to", "q")
	if projects := r.ok("list", "projects"); projects != "other\np\n" {
		t.Errorf("projects: %q", projects)
	}
}

// Rows that wait for their delivery would be delivered from two places.
func TestCopyOfUndeliveredRows(t *testing.T) {
	r := newRig(t)
	r.add("p", "id", "r", begin(), &trackio.Metrics{Rows: []trackio.MetricsRow{
		{Timestamp: at(0), Metrics: []byte(`{"loss":1}`), LogID: "l", SpaceID: "user/space"},
	}})
	r.fails(5, []string{"delivered", "--force"}, "copy", "run", "--project", "p", "--run", "r", "--to", "q")
	r.ok("copy", "run", "--project", "p", "--run", "r", "--to", "q", "--force")
}

// What was copied before an error is told.
func TestCopyStopsAtTheFirstError(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("other", "id-old", "in the way", begin())
	got := r.run("copy", "runs", "--project", "p", "--run-id", "id-first", "--run-id", "id-old", "--run-id", "id-quiet", "--to", "other", "--json")
	if got.code != 4 || !strings.Contains(got.out, `"run_id": "id-first"`) || strings.Contains(got.out, "id-quiet") ||
		!strings.Contains(got.errOut, "warning: copied 1 of 3 runs before the error") {
		t.Errorf("%+v", got)
	}
}

func TestRunSize(t *testing.T) {
	var s runSize
	s.add(&trackio.Traces{Rows: make([]trackio.TraceRow, 2)})
	s.add(&trackio.Media{Path: "a", Size: 1_250_000})
	s.add(&trackio.Media{Path: "b", Missing: true})
	if got, want := s.String(), "2 rows, 1 file of 1.25 MB (1 more missing in the run itself)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 kB", 999_499: "999 kB", 999_500: "1 MB", 4_000_000_000: "4 GB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}
