package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func TestRename(t *testing.T) {
	r := newRig(t)
	r.fill()
	before := r.ok("get", "run", "--project", "p", "--run-id", "id-first", "--json")
	if got, want := r.ok("rename", "run", "--project", "p", "--run", "first", "--name", "team/b\u00e4se line"), `Renamed run "first" (id-first) of project "p" to "team/bäse line".`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got := compact(t, r.ok("rename", "runs", "--project", "p", "--run-id", "id-first", "--name", "first", "--json"))
	want := `{"renamed":[{"run":"first","run_id":"id-first","project":"p","from_run":"team/bäse line"}]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if after := r.ok("get", "run", "--project", "p", "--run-id", "id-first", "--json"); after != before {
		t.Errorf("renamed there and back it is\n%s, not\n%s", after, before)
	}
}

// A name that two runs have from now on is allowed, and told.
func TestRenameToASharedName(t *testing.T) {
	r := newRig(t)
	r.fill()
	got := r.run("rename", "run", "--project", "p", "--run", "first", "--name", "team/a 1", "--json")
	if got.code != 0 || !strings.Contains(got.errOut, `warning: 2 other runs of project "p" had the name "team/a 1" already`) {
		t.Errorf("%+v", got)
	}
	r = newRig(t)
	r.fill()
	if got := r.run("rename", "run", "--project", "p", "--run", "first", "--name", "first"); got.code != 0 || got.errOut != "" {
		t.Errorf("its own name: %+v", got)
	}
}

// A name that would harm is refused, and one run gets one name.
func TestRenameRefuses(t *testing.T) {
	r := newRig(t)
	r.fill()
	for _, name := range []string{"", "..", "a/../b", "/etc", `\x`, "files", "Files/x", "a\nb", "a\x00", "\xff", strings.Repeat("n", 256)} {
		r.fails(2, []string{"run name", "hint: choose a name that can be a directory"},
			"rename", "run", "--project", "p", "--run", "first", "--name", name, "--force", "--json")
	}
	r.fails(2, []string{"2 runs were named"}, "rename", "runs", "--project", "p", "--run", "first", "--run-id", "id-old", "--name", "n")
	r.fails(2, []string{"id-old, id-new"}, "rename", "run", "--project", "p", "--run", "team/a 1", "--name", "n")
	r.fails(2, []string{"needs --name"}, "rename", "run", "--project", "p", "--run", "first")
	r.fails(2, []string{"needs --run or --run-id"}, "rename", "run", "--project", "p", "--name", "n")
	r.fails(3, []string{"did you mean --run first?"}, "rename", "run", "--project", "p", "--run", "frist", "--name", "n")
	if left := r.ok("list", "runs", "--project", "p"); strings.Count(left, "\n") != 5 || !strings.Contains(left, "id-first") {
		t.Errorf("left:\n%s", left)
	}
	r.wrap = func(b trackio.Backend) trackio.Backend { return plain{b} }
	r.fails(9, []string{"cannot rename"}, "rename", "run", "--project", "p", "--run", "first", "--name", "n")
}

func TestRenameOfALiveRun(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.add("p", "live", "live", now, &trackio.Metrics{Rows: []trackio.MetricsRow{
		{Timestamp: trackio.FormatTime(now), Metrics: []byte(`{"loss":1}`)},
	}})
	r.fails(5, []string{"live", "--force"}, "rename", "run", "--project", "p", "--run", "live", "--name", "n", "--json")
	r.ok("rename", "run", "--project", "p", "--run", "live", "--name", "n", "--force")
	if left := r.ok("list", "runs", "--project", "p"); strings.Contains(left, "live") {
		t.Errorf("left:\n%s", left)
	}
}
