package cli

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func TestBackends(t *testing.T) {
	r := newRig(t)
	r.tryErr["team"] = trackio.Errorf(trackio.ErrUnavailable, "no answer from ml-runs")
	got := compact(t, r.ok("backends", "--json"))
	want := `{"config":"/etc/trackio.hcl","default":"local","backends":[` +
		`{"name":"local","type":"sqlite","default":true,"defined_at":"/etc/trackio.hcl:3","opens":true,"error":null,` +
		`"settings":[{"name":"dir","value":"/data/local","source":"attribute, /etc/trackio.hcl:4"}]},` +
		`{"name":"team","type":"s3","default":false,"defined_at":"/etc/trackio.hcl:6","opens":false,"error":"no answer from ml-runs",` +
		`"settings":[{"name":"dir","value":"/data/team","source":"attribute, /etc/trackio.hcl:4"}]}]}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	text := r.ok("backends")
	for _, word := range []string{"Configuration: /etc/trackio.hcl", "local (sqlite, the default)", "dir = /data/local", "does not open: no answer"} {
		if !strings.Contains(text, word) {
			t.Errorf("lacks %q:\n%s", word, text)
		}
	}
	r.unset = []Setting{{Name: "region"}}
	if text := r.ok("backends"); !strings.Contains(text, "  region  not set: the backend's own default\n") {
		t.Errorf("a setting that nobody set:\n%s", text)
	}
}

func TestConfigCheck(t *testing.T) {
	r := newRig(t)
	if out := r.ok("config", "check"); !strings.Contains(out, "2 backends in /etc/trackio.hcl, default local") {
		t.Errorf("got %s", out)
	}
	r.tryErr["team"] = trackio.Errorf(trackio.ErrPermission, "not yours").WithHint("ask the owner")
	got := r.run("config", "check")
	if want := "opens  local (sqlite)\nvalid  team (s3)\n"; got.code != 0 || !strings.HasPrefix(got.out, want) ||
		!strings.Contains(got.errOut, "not yours") || !strings.Contains(got.errOut, "ask the owner") {
		t.Errorf("a backend that does not open: %+v", got)
	}
	r.tryErr["local"] = trackio.Errorf(trackio.ErrInvalid, "local.hcl:3: dir is a file")
	r.tryErr["team"] = trackio.Errorf(trackio.ErrUnavailable, "away").WithHint("wait")
	r.fails(2, []string{"local.hcl:3", "away"}, "config", "check")
	r.tryErr["team"] = trackio.Errorf(trackio.ErrInvalid, "team.hcl:7: bucket is missing")
	r.fails(2, []string{"local.hcl:3", "team.hcl:7"}, "config", "check")
	r.config.Default = ""
	r.tryErr = nil
	if out := r.ok("config", "check"); !strings.Contains(out, "no default: commands need --backend") {
		t.Errorf("got %s", out)
	}
}

func TestSelection(t *testing.T) {
	r := newRig(t)
	r.vars["TRACKIO_BACKEND"], r.vars["TRACKIO_CONFIG"] = "team", "/x.hcl"
	r.ok("list", "projects")
	r.ok("list", "projects", "--backend", "local", "--config", "/y.hcl", "-vv")
	want := []Selection{{Backend: "team", Config: "/x.hcl"}, {Backend: "local", Config: "/y.hcl", Verbose: 2}}
	if !reflect.DeepEqual(r.opened, want) {
		t.Errorf("opened %+v, want %+v", r.opened, want)
	}
}

func TestVersion(t *testing.T) {
	r := newRig(t)
	if got := compact(t, r.ok("version", "--json")); got != `{"program":"trackio (Go)","version":"1.2.3","commit":"abc","go":"go1.26"}` {
		t.Errorf("got %s", got)
	}
	if got := r.ok("version"); !strings.HasPrefix(got, "trackio 1.2.3 (Go)\n") || !strings.Contains(got, "pip") {
		t.Errorf("got %s", got)
	}
	if got := r.ok("--version"); got != "trackio 1.2.3 (Go)\n" {
		t.Errorf("--version prints %q", got)
	}
	if len(r.opened) != 0 {
		t.Error("version opened a backend")
	}
}

func TestCompletion(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("p", "bad\nid", "bad\tname", begin())
	for _, c := range []struct {
		args string
		want string
	}{
		{"list runs --project |", "other p"},
		{"list runs --project|o", "other"},
		{"get run --project p --run|", "-quiet first team/a 1"},
		{"delete run --project p --run-id|id-", "id-first id-new id-old id-quiet"},
		{"move run --project p --run first --to|", "other p"},
		{"get metric --project p --run first --metric|l", "loss"},
		{"get system-metric --project p --run-id id-first --metric|", "cpu gpu/0"},
		{"list alerts --level|", "error info warn"},
		{"list projects --backend|", "local team"},
		{"get run --project nothing --run|", ""},
		{"completion |", "bash zsh fish powershell"},
	} {
		before, word, _ := strings.Cut(c.args, "|")
		args := append([]string{"__complete"}, append(strings.Fields(before), word)...)
		got := r.run(args...)
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		if offered := strings.Join(lines[:len(lines)-1], " "); offered != c.want || got.code != 0 {
			t.Errorf("%s: %q, want %q\n%s", c.args, offered, c.want, got.errOut)
		}
	}
	// File names are offered where a file is wanted, and nowhere else.
	for args, want := range map[string]string{
		"list projects ": ":4", "get metric --project p --run first --metric loss ": ":4", "delete run --project p --run first ": ":4",
		"list projects --config ": ":8", "demo --dir ": ":16",
	} {
		if got := r.run(append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.HasSuffix(got.out, want+"\n") {
			t.Errorf("%s: %q does not end in %s", args, got.out, want)
		}
	}
	r.openErr = errOther
	got := r.run("__complete", "list", "runs", "--project", "")
	if got.code != 0 || strings.Contains(got.errOut, errOther.Error()) {
		t.Errorf("completion on a broken storage: %+v", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := r.ok("completion", shell); !strings.Contains(script, "trackio") {
			t.Errorf("%s: %q", shell, script)
		}
	}
}

// Every example in the help is a command line that is understood.
func TestExamples(t *testing.T) {
	r := newRig(t)
	a := &app{env: &r.env}
	for _, cmd := range leaves(a.rootCommand()) {
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "trackio ") {
				continue
			}
			words, _, _ := strings.Cut(line, "   ")
			root := (&app{env: &r.env}).rootCommand()
			found, rest, err := root.Find(strings.Fields(words)[1:])
			if err != nil || found.HasSubCommands() {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if err := found.ValidateRequiredFlags(); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
		if !cmd.Hidden && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
	}
}

func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

func TestDemo(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // the same on Windows
	r := newRig(t)
	r.vars["TRACKIO_BACKEND"], r.vars["TRACKIO_CONFIG"] = "mine", "/mine.hcl"
	out := r.ok("demo")
	for _, word := range []string{
		"$ trackio list runs --project mnist\n", "$ trackio move run --project mnist --run 'high lr' --to archive\n",
		`Moved run "high lr"`, `Deleted run "augmented"`, "Loss diverges", "image archive/high lr/0/", "Where to go on",
	} {
		if !strings.Contains(out, word) {
			t.Errorf("demo lacks %q:\n%s", word, out)
		}
	}
	for _, sel := range r.opened {
		if sel.Backend != "" || !strings.HasPrefix(sel.Config, temp) {
			t.Errorf("the demo worked on %+v", sel)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
}

// An interrupted demo says so once, and cleans up.
func TestDemoInterrupted(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // the same on Windows
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	r.wrap = func(b trackio.Backend) trackio.Backend {
		if len(r.opened) == 3 {
			cancel()
		}
		return b
	}
	got := r.runContext(ctx, "demo")
	if got.code != 130 || strings.Count(got.errOut, "interrupted") != 1 {
		t.Errorf("%d %q", got.code, got.errOut)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
}

func TestDemoDir(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(t.TempDir(), "new dir")
	if out := r.ok("demo", "--dir", dir); !strings.Contains(out, "export TRACKIO_CONFIG='"+filepath.Join(dir, "config.hcl")+"'") {
		t.Errorf("got %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "config.hcl")); err != nil {
		t.Error(err)
	}
	r.fails(4, []string{"is not empty"}, "demo", "--dir", dir)
}

// The media of the demo are what their records say.
func TestDemoRuns(t *testing.T) {
	runs, err := demoRuns(testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		digest := trackio.NewDigest()
		for record, err := range trackio.Checked(run.records()) {
			if err != nil {
				t.Fatal(err)
			}
			digest.Add(record)
		}
		if digest.Media != 3 || digest.Counts.Metrics != demoStepsPerRun {
			t.Errorf("%s: %+v", run.header.Name, digest)
		}
	}
}
