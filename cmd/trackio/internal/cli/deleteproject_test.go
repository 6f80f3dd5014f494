package cli

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// deleter deletes projects as a whole, and notes what it was told.
type deleter struct {
	plain
	opts *[]trackio.DeleteOptions
	err  error
}

func (d deleter) As(target any) bool {
	if p, ok := target.(*trackio.ProjectDeleter); ok {
		*p = d
		return true
	}
	return false
}

func (d deleter) DeleteProject(ctx context.Context, project string, opts trackio.DeleteOptions) error {
	*d.opts = append(*d.opts, opts)
	if d.err != nil {
		return d.err
	}
	return trackio.New(d.plain).DeleteProject(ctx, project, opts)
}

// wholeDeletes makes a rig's backend delete projects as a whole.
func (r *rig) wholeDeletes(err error) *[]trackio.DeleteOptions {
	opts := &[]trackio.DeleteOptions{}
	r.wrap = func(b trackio.Backend) trackio.Backend { return deleter{plain{b}, opts, err} }
	return opts
}

func TestDeleteProject(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.add("q", "1", "one", begin())
	opts := r.wholeDeletes(nil)
	got := r.run("delete", "project", "--project", "p.", "--yes")
	if got.out != "Deleted project \"p\" with 4 runs.\n" || got.errOut != "" {
		t.Errorf("%+v", got)
	}
	got = r.run("delete", "projects", "--project", "q", "--project", "q!", "--yes", "--force", "--json")
	if want := `{"deleted":[{"project":"q","runs":1}]}`; compact(t, got.out) != want || got.errOut != "" {
		t.Errorf("got %+v, want %s", got, want)
	}
	if len(*opts) != 2 || (*opts)[0].Force || !(*opts)[1].Force {
		t.Errorf("options %+v", *opts)
	}
	if left := r.ok("list", "projects"); left != "other\n" {
		t.Errorf("left: %q", left)
	}
	r.fails(3, []string{"did you mean --project other?"}, "delete", "project", "--project", "othr", "--yes", "--json")
	r.fails(3, nil, "delete", "project", "--project", "other", "--project", "nothing", "--yes", "--json")
	if left := r.ok("list", "projects"); left != "other\n" {
		t.Errorf("one of two was not found, and the other was deleted: %q", left)
	}
}

func TestDeleteProjectAsks(t *testing.T) {
	for answer, deleted := range map[string]bool{"y\n": true, "yes\n": true, "n\n": false, "": false, "p\n": false} {
		r := newRig(t)
		r.fill()
		r.wholeDeletes(nil)
		r.env.StdinTTY, r.env.StderrTTY = true, true
		r.vars["NO_COLOR"] = "1"
		r.env.Stdin = strings.NewReader(answer)
		got := r.run("delete", "project", "--project", "p")
		for _, words := range []string{"media, artifacts and files", `project "p" (4 runs, rows: 6 metric rows, 2 system metric rows, 2 alert rows)`, "Delete 1 project? [y/N] "} {
			if !strings.Contains(got.errOut, words) {
				t.Errorf("the question lacks %q: %s", words, got.errOut)
			}
		}
		gone := r.ok("list", "projects") == "other\n"
		if gone != deleted || (got.code == 0) != deleted {
			t.Errorf("answer %q: deleted %v, exit code %d", answer, gone, got.code)
		}
	}
}

func TestDeleteProjectNeedsYes(t *testing.T) {
	r := newRig(t)
	r.fill()
	opts := r.wholeDeletes(nil)
	r.fails(2, []string{"--yes"}, "delete", "project", "--project", "p")
	r.env.StdinTTY, r.env.StderrTTY = true, true
	r.env.Stdin = strings.NewReader("y\n")
	r.fails(2, []string{"--yes"}, "delete", "project", "--project", "p", "--json")
	r.fails(2, []string{"needs --project"}, "delete", "project", "--yes")
	r.add("default", "1", "one", begin())
	for _, name := range []string{"", " ", "../"} {
		r.fails(2, []string{"no letter"}, "delete", "project", "--project", name, "--yes")
	}
	if len(*opts) != 0 {
		t.Errorf("deleted: %+v", *opts)
	}
}

// answering says yes when it is read, after something has happened.
type answering struct{ first func() }

func (a answering) Read(p []byte) (int, error) {
	a.first()
	return copy(p, "y\n"), nil
}

// A yes is for what the question showed.
func TestDeleteProjectThatChangedMeanwhile(t *testing.T) {
	r := newRig(t)
	r.fill()
	opts := r.wholeDeletes(nil)
	r.env.StdinTTY, r.env.StderrTTY = true, true
	r.vars["NO_COLOR"] = "1"
	r.env.Stdin = answering{func() { r.add("p", "new", "new", begin().Add(9*time.Hour)) }}
	r.fails(5, []string{"nothing was deleted"}, "delete", "project", "--project", "p")
	if len(*opts) != 0 {
		t.Errorf("deleted: %+v", *opts)
	}
}

// slowCounts does not get to the end of counting.
type slowCounts struct{ deleter }

func (s slowCounts) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	if !opts.Counts {
		return s.deleter.ListRuns(ctx, project, opts)
	}
	return func(yield func(trackio.RunInfo, error) bool) {
		<-ctx.Done()
		yield(trackio.RunInfo{}, ctx.Err())
	}
}

func TestDeleteProjectDoesNotCountForLong(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.wrap = func(b trackio.Backend) trackio.Backend {
		return slowCounts{deleter{plain{b}, &[]trackio.DeleteOptions{}, nil}}
	}
	r.env.StdinTTY, r.env.StderrTTY = true, true
	r.vars["NO_COLOR"] = "1"
	r.env.Stdin = strings.NewReader("y\n")
	got := r.run("delete", "project", "--project", "p")
	if got.code != 0 || !strings.Contains(got.errOut, `project "p" (4 runs)`) {
		t.Errorf("%+v", got)
	}
}

// damaged cannot list its runs.
type damaged struct{ deleter }

func (damaged) ListRuns(context.Context, string, trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	return func(yield func(trackio.RunInfo, error) bool) {
		yield(trackio.RunInfo{}, trackio.Errorf(trackio.ErrDataLoss, "p.db is no database"))
	}
}

func (damaged) As(target any) bool {
	p, ok := target.(*trackio.ProjectDeleter)
	if ok {
		*p = gone{}
	}
	return ok
}

type gone struct{}

func (gone) DeleteProject(context.Context, string, trackio.DeleteOptions) error { return nil }

// What cannot be read any more can still be deleted.
func TestDeleteDamagedProject(t *testing.T) {
	r := newRig(t)
	r.wrap = func(b trackio.Backend) trackio.Backend { return damaged{deleter{plain: plain{b}}} }
	if got, want := compact(t, r.ok("delete", "project", "--project", "p", "--yes", "--json")), `{"deleted":[{"project":"p","runs":null}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.env.StdinTTY, r.env.StderrTTY = true, true
	r.vars["NO_COLOR"] = "1"
	r.env.Stdin = strings.NewReader("y\n")
	got := r.run("delete", "project", "--project", "p")
	if got.out != "Deleted project \"p\" with all its runs.\n" || !strings.Contains(got.errOut, "damaged: p.db is no database") {
		t.Errorf("%+v", got)
	}
}

func TestDeleteProjectErrors(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.wholeDeletes(trackio.Errorf(trackio.ErrConflict, "run %q is still being written to", "first").WithHint("wait until it has ended"))
	r.fails(5, []string{"still being written to", "hint: wait until it has ended"}, "delete", "project", "--project", "p", "--yes", "--json")
	r.wholeDeletes(trackio.Errorf(trackio.ErrBackendDied, "the backend died"))
	r.fails(10, []string{"hint: trackio doctor shows what was interrupted"}, "delete", "project", "--project", "p", "--yes")
	r.wholeDeletes(trackio.Errorf(errors.ErrUnsupported, "not this one"))
	r.fails(9, []string{"not this one"}, "delete", "project", "--project", "p", "--yes")
	if left := r.ok("list", "projects"); left != "other\np\n" {
		t.Errorf("left: %q", left)
	}
}

// stays keeps a project without runs.
type stays struct{ plain }

func (stays) ListProjects(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("p", nil) }
}

// A storage that can only delete runs deletes them, and says what stays.
func TestDeleteProjectRunByRun(t *testing.T) {
	r := newRig(t)
	r.fill()
	r.wrap = func(b trackio.Backend) trackio.Backend { return stays{plain{b}} }
	got := r.run("delete", "project", "--project", "p", "--yes", "--json")
	if got.code != 0 || compact(t, got.out) != `{"deleted":[{"project":"p","runs":4}]}` ||
		!strings.Contains(got.errOut, "note: this storage cannot delete a project as a whole") || !strings.Contains(got.errOut, `note: project "p" itself stays`) {
		t.Errorf("%+v", got)
	}
	r.fillLive()
	r.wrap = func(b trackio.Backend) trackio.Backend { return plain{b} }
	got = r.run("delete", "project", "--project", "l", "--yes")
	if got.code != 5 || got.out != "" || !strings.Contains(got.errOut, `warning: 1 of 2 runs of project "l" were deleted before the error`) || !strings.Contains(got.errOut, "--force") {
		t.Errorf("%+v", got)
	}
	r.ok("delete", "project", "--project", "l", "--yes", "--force")
	if left := r.ok("list", "projects"); left != "other\n" {
		t.Errorf("left: %q", left)
	}
}

// fillLive puts an old and a live run into project l.
func (r *rig) fillLive() {
	now := time.Now()
	r.add("l", "old", "old", begin())
	r.add("l", "live", "live", now, &trackio.Metrics{Rows: []trackio.MetricsRow{
		{Timestamp: trackio.FormatTime(now), Metrics: []byte(`{"loss":1}`)},
	}})
}
