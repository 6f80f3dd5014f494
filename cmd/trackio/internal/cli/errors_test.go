package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{errOther, 1},
		{trackio.Errorf(trackio.ErrInvalid, "no").WithHint("do it"), 2},
		{trackio.Errorf(trackio.ErrNotFound, "no"), 3},
		{trackio.Errorf(trackio.ErrExists, "no"), 4},
		{trackio.Errorf(trackio.ErrConflict, "no"), 5},
		{trackio.Errorf(trackio.ErrPermission, "no"), 6},
		{trackio.Errorf(trackio.ErrUnavailable, "no"), 7},
		{trackio.Errorf(trackio.ErrDataLoss, "no"), 8},
		{trackio.Errorf(errors.ErrUnsupported, "no"), 9},
		{trackio.Errorf(trackio.ErrBackendDied, "no"), 10},
		{fmt.Errorf("wrapped: %w", trackio.Errorf(trackio.ErrDataLoss, "no")), 8},
	} {
		for _, asJSON := range []bool{false, true} {
			args := []string{"list", "projects"}
			if asJSON {
				args = append(args, "--json")
			}
			r := newRig(t)
			r.openErr = c.err
			r.fails(c.code, []string{"error: " + c.err.Error(), trackio.HintOf(c.err)}, args...)
			r.openErr, r.wrap = nil, func(b trackio.Backend) trackio.Backend { return failing{b, c.err} }
			r.fails(c.code, []string{"error: " + c.err.Error()}, args...)
		}
	}
}

func TestHelpShowsExitCodes(t *testing.T) {
	out := newRig(t).ok("--help")
	for _, row := range exitCodes {
		if want := fmt.Sprintf("  %-4d %s\n", row.code, row.text); !strings.Contains(out, want) {
			t.Errorf("--help lacks %q", want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.openErr = context.Canceled
	got := r.runContext(ctx, "list", "projects", "--json")
	if got.code != 130 || got.out != "" || got.errOut != "error: interrupted\n" {
		t.Errorf("%+v", got)
	}
}

// A change that goes on after Ctrl-C says so; one that ends at once does not.
func TestInterruptedChangeGoesOn(t *testing.T) {
	for _, slow := range []bool{true, false} {
		r := newRig(t)
		r.fill()
		ctx, cancel := context.WithCancel(context.Background())
		r.wrap = func(b trackio.Backend) trackio.Backend { return undoing{plain{b}, cancel, slow} }
		got := r.runContext(ctx, "delete", "run", "--project", "p", "--run-id", "id-first", "--yes")
		if got.code != 130 || strings.Contains(got.errOut, "finished or undone") != slow {
			t.Errorf("slow: %v: %+v", slow, got)
		}
	}
}

// undoing is interrupted while it deletes, and takes its time to undo that.
type undoing struct {
	plain
	interrupt func()
	slow      bool
}

func (u undoing) DeleteRun(ctx context.Context, _ trackio.RunRef, _ trackio.DeleteOptions) error {
	u.interrupt()
	if u.slow {
		time.Sleep(3 * waitUnseen)
	}
	return ctx.Err()
}

// A reader that goes away is no error.
func TestBrokenPipe(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.env.Stdout = brokenPipe{}
	if got := r.run("list", "projects"); got.code != 0 || got.errOut != "" {
		t.Errorf("%+v", got)
	}
	r.env.Stdout = fullDisk{}
	if got := r.run("list", "projects"); got.code != 1 || !strings.Contains(got.errOut, "no space") {
		t.Errorf("%+v", got)
	}
}

type brokenPipe struct{ io.Writer }

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

type fullDisk struct{ io.Writer }

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestUsageErrors(t *testing.T) {
	r := newRig(t)
	r.fill()
	for _, c := range []struct {
		words []string
		args  string
	}{
		{[]string{"no command trackio lst", "did you mean trackio list?"}, "lst"},
		{[]string{"no command trackio list run\n", "did you mean trackio list runs?"}, "list run"},
		{[]string{"no command trackio list run\n", "did you mean trackio list runs?"}, "list run --project p --json"},
		{[]string{"no command trackio get metrics", "did you mean trackio get metric?"}, "get metrics --project p --run first --metric loss"},
		{[]string{"trackio move needs to know what"}, "move --project p --run first --to q"},
		{[]string{"unknown flag: --jsn", "trackio list projects --help"}, "list projects --jsn"},
		{[]string{"trackio list runs needs --project", "trackio list projects", "trackio list runs --help"}, "list runs"},
		{[]string{"trackio get metric needs --metric and --project"}, "get metric --run first"},
		{[]string{"trackio get run needs --run or --run-id"}, "get run --project p"},
		{[]string{"needs --run or --run-id"}, "delete run --project p --yes"},
		{[]string{"--run and --run-id cannot be given together"}, "get run --project p --run a --run-id b"},
		{[]string{`--step takes a whole number, not "x"`}, "get snapshot --project p --run first --step x"},
		{[]string{"Provide --step, --around (with --window), or --at-time (with --window)."}, "get snapshot --project p --run first"},
		{[]string{"--window -1 is negative"}, "get snapshot --project p --run first --around 1 --window -1"},
		{[]string{`"noon" is no ISO 8601 time`, "write it like"}, "get metric --project p --run first --metric loss --at-time noon"},
		{[]string{`"noon" is no ISO 8601 time`}, "list alerts --project p --since noon"},
		{[]string{`no alert level "warning"`, "info, warn and error"}, "list alerts --project p --level warning"},
		{[]string{`list projects takes only flags, not "extra"`}, "list projects extra"},
		{[]string{`not "p"`, "did you mean --project p?"}, "list runs p"},
		{[]string{`not "first"`, "did you mean --run first?"}, "delete run --project p first --yes"},
		{[]string{"--to is empty"}, "move run --project p --run first --to="},
		{[]string{"--project is empty"}, "list runs --project="},
		{[]string{"unknown help topic"}, "help nothing"},
		{[]string{"needs the name of one shell", "bash, zsh, fish, powershell"}, "completion"},
		{[]string{"needs the name of one shell"}, "completion tcsh"},
		{[]string{"trackio move run needs --to"}, "move run --project p --run first"},
	} {
		r.fails(2, c.words, strings.Fields(c.args)...)
	}
}

func TestNotFoundSuggests(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("mnist", "1", "resnet-50", begin())
	for _, c := range []struct {
		words []string
		args  string
	}{
		{[]string{"did you mean --project mnist?"}, "list runs --project mnits --json"},
		{[]string{"trackio list projects shows"}, "list runs --project entirely-different"},
		{[]string{`run "resnet-5" not found in project "mnist"`, "did you mean --run resnet-50?"}, "get run --project mnist --run resnet-5"},
		{[]string{`run "zebra" not found`, "trackio list runs --project mnist shows them"}, "get run --project mnist --run zebra"},
		{[]string{`run id "id-olf" not found`, "did you mean --run-id id-old?"}, "get run --project p --run-id id-olf"},
		{[]string{`metric "los" not found`, "did you mean --metric loss?"}, "get metric --project p --run first --metric los --json"},
		{[]string{`metric "none" not found`, "trackio list metrics --project p --run-id id-first"}, "get metric --project p --run first --metric none --step 1"},
		{[]string{`system metric "x" not found`}, "get system-metric --project p --run first --metric x --json"},
		{[]string{`report "loss" not found`}, "get report --project p --run first --report loss --json"},
		{[]string{`run "nobody" not found`}, "list alerts --project p --run nobody"},
		{[]string{`run "nobody" not found`}, "delete run --project p --run first --run nobody --yes"},
	} {
		r.fails(3, c.words, strings.Fields(c.args)...)
	}
	if !strings.Contains(r.ok("list", "runs", "--project", "p"), "id-first") {
		t.Error("a deletion that found only one of its two runs deleted that one")
	}
}

func TestPythonOnly(t *testing.T) {
	r := newRig(t)
	for _, args := range []string{
		"show", "show --project p", "sync --project p --space-id u/s", "status", "freeze --space-id a --project b",
		"query project --project p --sql x", "skills add --cursor", "registry list models", "logbook open", "bump u/s",
		"list spaces", "list artifacts --project p", "list traces --project p --json", "get artifact --project p --name n",
		"get trace --project p --trace-id t", "get trace-summary --project p", "config set frontend dir",
		"--space user/space list projects", "list projects --space user/space",
	} {
		r.fails(9, []string{"Python's trackio", "pip install trackio"}, strings.Fields(args)...)
	}
	if len(r.opened) != 0 {
		t.Errorf("a backend was opened: %v", r.opened)
	}
}
