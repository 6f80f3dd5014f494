package cli

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// ill finds things in its storage; those with the word mendable it can fix.
type ill struct {
	plain
	findings []trackio.Finding
	err      error // at the end
	fixes    *int
}

func (i ill) As(target any) bool {
	e, ok := target.(*trackio.Examiner)
	if ok {
		*e = i
	}
	return ok
}

func (i ill) Examine(_ context.Context, opts trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
	return func(yield func(trackio.Finding, error) bool) {
		for _, f := range i.findings {
			if opts.Fix && strings.Contains(f.Message, "mendable") {
				f.Fixed = true
				*i.fixes++
			}
			if !yield(f, nil) {
				return
			}
		}
		if i.err != nil {
			yield(trackio.Finding{}, i.err)
		}
	}
}

// examined is a rig whose backend finds something.
func examined(t *testing.T, err error, findings ...trackio.Finding) (*rig, *int) {
	r, fixes := newRig(t), new(int)
	r.wrap = func(b trackio.Backend) trackio.Backend { return ill{plain{b}, findings, err, fixes} }
	return r, fixes
}

var (
	interrupted = trackio.Finding{Kind: trackio.FindingOperation, Project: "p", RunID: "id-2", Message: "a mendable move to \"q\"\x1b was interrupted", Hint: "fix it"}
	orphan      = trackio.Finding{Kind: "orphan", Message: "media/p/x.png belongs to nothing", Hint: "delete it"}
)

func TestDoctorHealthy(t *testing.T) {
	r, _ := examined(t, nil)
	if got := r.ok("doctor"); got != "Nothing is wrong with this storage.\n" {
		t.Errorf("%q", got)
	}
	for _, args := range [][]string{{"doctor", "--json"}, {"doctor", "--fix", "--json"}} {
		if got := compact(t, r.ok(args...)); got != `{"findings":[],"healthy":true}` {
			t.Errorf("%q: %s", args, got)
		}
	}
}

func TestDoctorFinds(t *testing.T) {
	r, fixes := examined(t, nil, interrupted, orphan)
	got := r.run("doctor")
	want := `STATE  KIND                   WHAT IS WRONG
open   orphan                 media/p/x.png belongs to nothing
open   interrupted-operation  a mendable move to "q"\x1b was interrupted
hint: delete it
hint: fix it
`
	if got.code != 8 || got.out != want || !strings.Contains(got.errOut, "error: 2 things are wrong with this storage") || !strings.Contains(got.errOut, "trackio doctor --fix") {
		t.Errorf("%d\n%s%s", got.code, got.out, got.errOut)
	}
	got = r.run("doctor", "--json")
	wantJSON := `{"findings":[` +
		`{"kind":"orphan","project":null,"run_id":null,"message":"media/p/x.png belongs to nothing","hint":"delete it","fixed":false},` +
		`{"kind":"interrupted-operation","project":"p","run_id":"id-2","message":"a mendable move to \"q\"\u001b was interrupted","hint":"fix it","fixed":false}` +
		`],"healthy":false}`
	if got.code != 8 || compact(t, got.out) != wantJSON {
		t.Errorf("%d\ngot  %s\nwant %s", got.code, got.out, wantJSON)
	}
	if *fixes != 0 {
		t.Error("it fixed without --fix")
	}
}

func TestDoctorFixes(t *testing.T) {
	r, fixes := examined(t, nil, interrupted)
	if got := r.ok("doctor", "--fix"); !strings.Contains(got, "fixed  interrupted-operation  a mendable move") || !strings.HasSuffix(got, "\nAll of it is fixed.\n") || strings.Contains(got, "hint:") {
		t.Errorf("%q", got)
	}
	if got := r.ok("doctor", "--fix", "--json"); !strings.Contains(got, `"fixed": true`) || !strings.Contains(got, `"healthy": true`) {
		t.Errorf("%s", got)
	}
	if *fixes != 2 {
		t.Errorf("%d fixes", *fixes)
	}
	r, _ = examined(t, nil, interrupted, orphan)
	got := r.run("doctor", "--fix", "--json")
	if got.code != 8 || !strings.Contains(got.out, `"healthy": false`) || !strings.Contains(got.errOut, "1 thing is wrong with this storage; 1 fixed") {
		t.Errorf("%+v", got)
	}
}

// An examination that fails ends with its own code, and shows what it found.
func TestDoctorFails(t *testing.T) {
	away := trackio.Errorf(trackio.ErrUnavailable, "the storage is away")
	r, _ := examined(t, away)
	r.fails(7, []string{"the storage is away"}, "doctor", "--json")
	r, _ = examined(t, away, interrupted)
	got := r.run("doctor", "--fix", "--json")
	if got.code != 7 || !strings.Contains(got.out, `"fixed": true`) || !strings.Contains(got.out, `"healthy": false`) || !strings.Contains(got.errOut, "the storage is away") {
		t.Errorf("%+v", got)
	}
	r, _ = examined(t, trackio.Errorf(errors.ErrUnsupported, "not this storage"))
	r.fails(9, []string{"not this storage"}, "doctor")
	r.wrap = func(b trackio.Backend) trackio.Backend { return plain{b} }
	r.fails(9, []string{"cannot examine"}, "doctor", "--fix", "--json")
}

// On a terminal what is wrong is continued under itself, and nothing of it is cut.
func TestDoctorOnATerminal(t *testing.T) {
	long := trackio.Finding{
		Kind: "orphan", Message: "the file media/" + strings.Repeat("m", 60) + ".png belongs to no run of any project that is here",
		Hint: strings.Repeat("look at it ", 6) + "yourself",
	}
	r, _ := examined(t, nil, long)
	r.env.StdoutTTY, r.env.Width, r.vars["NO_COLOR"] = true, 50, "1"
	want := `STATE  KIND    WHAT IS WRONG
open   orphan  the file
               media/` + strings.Repeat("m", 60) + `.png
               belongs to no run of any project
               that is here
hint: look at it look at it look at it look at it
      look at it look at it yourself
`
	if got := r.run("doctor").out; got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	r.env.Width = 20
	if got := r.run("doctor").out; !strings.Contains(got, long.Message) {
		t.Errorf("narrow:\n%s", got)
	}
}
