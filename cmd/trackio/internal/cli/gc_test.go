package cli

import (
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// littered has something to collect.
type littered struct {
	plain
	garbage []trackio.Garbage
	err     error         // at the end
	pause   time.Duration // before each thing
	asked   *[]trackio.CollectOptions
}

func (l littered) As(target any) bool {
	c, ok := target.(*trackio.Collector)
	if ok {
		*c = l
	}
	return ok
}

func (l littered) Collect(_ context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	*l.asked = append(*l.asked, opts)
	return func(yield func(trackio.Garbage, error) bool) {
		for _, g := range l.garbage {
			time.Sleep(l.pause)
			if !yield(g, nil) {
				return
			}
		}
		if l.err != nil {
			yield(trackio.Garbage{}, l.err)
		}
	}
}

// garbage is a rig whose backend has something to collect.
func garbage(t *testing.T, err error, things ...trackio.Garbage) (*rig, *[]trackio.CollectOptions) {
	r, asked := newRig(t), new([]trackio.CollectOptions)
	r.wrap = func(b trackio.Backend) trackio.Backend { return littered{plain{b}, things, err, 0, asked} }
	return r, asked
}

var (
	leftover  = trackio.Garbage{Kind: trackio.GarbageImport, Name: "20260129T120000Z-5e88\x1b", Since: testNow.Add(-72 * time.Hour), Objects: 14, Bytes: 3_200_000}
	oldState  = trackio.Garbage{Kind: trackio.GarbageCheckpoint, Name: "16", Objects: 1, Bytes: 1}
	collected = `{"collected":[` +
		`{"kind":"import","name":"20260129T120000Z-5e88\u001b","since":"2026-01-29T12:00:00+00:00","objects":14,"bytes":3200000},` +
		`{"kind":"checkpoint","name":"16","since":null,"objects":1,"bytes":1}],"objects":15,"bytes":3200001,"dry_run":`
)

func TestGCNothing(t *testing.T) {
	r, _ := garbage(t, nil)
	for want, args := range map[string][]string{
		"There is nothing to collect that is older than 24h.\n":  {"gc"},
		"There is nothing to collect that is older than 7d1h.\n": {"gc", "--grace", "7d1h", "--dry-run"},
		"There is nothing to collect.\n":                         {"gc", "--grace=0s"},
	} {
		if got := r.ok(args...); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
	if got := compact(t, r.ok("gc", "--json")); got != `{"collected":[],"objects":0,"bytes":0,"dry_run":false}` {
		t.Error(got)
	}
}

func TestGC(t *testing.T) {
	r, asked := garbage(t, nil, leftover, oldState)
	got := r.run("gc")
	want := `KIND        NAME                       AGE  OBJECTS    SIZE
import      20260129T120000Z-5e88\x1b  3d        14  3.2 MB
checkpoint  16                         -          1  1 byte
Removed 2 things: 15 objects of 3.2 MB.
`
	if got.code != 0 || got.out != want || got.errOut != "" {
		t.Errorf("%d\n%s%s", got.code, got.out, got.errOut)
	}
	if got := r.ok("gc", "--dry-run", "--grace", "0s"); !strings.HasSuffix(got, "\nWould remove 2 things: 15 objects of 3.2 MB.\n") {
		t.Error(got)
	}
	if got := compact(t, r.ok("gc", "--json", "--grace", "7d")); got != collected+"false}" {
		t.Error(got)
	}
	if got := compact(t, r.ok("gc", "--json", "--dry-run", "--grace", "1d12h")); got != collected+"true}" {
		t.Error(got)
	}
	wantAsked := []trackio.CollectOptions{
		{Grace: 24 * time.Hour}, {DryRun: true}, {Grace: 7 * 24 * time.Hour}, {Grace: 36 * time.Hour, DryRun: true},
	}
	for i, want := range wantAsked {
		if len(*asked) != len(wantAsked) || (*asked)[i] != want {
			t.Fatalf("the backend was asked for %+v, want %+v", *asked, wantAsked)
		}
	}
	r, _ = garbage(t, nil, oldState)
	if got := r.ok("gc"); !strings.HasSuffix(got, "\nRemoved 1 thing: 1 object of 1 byte.\n") {
		t.Error(got)
	}
}

// What is gone is printed also when it ends in an error, which decides the code.
func TestGCFails(t *testing.T) {
	away := trackio.Errorf(trackio.ErrUnavailable, "the storage is away").WithHint("wait")
	r, _ := garbage(t, away)
	r.fails(7, []string{"the storage is away", "hint: wait"}, "gc", "--json")
	r, _ = garbage(t, away, leftover, oldState)
	got := r.run("gc", "--json")
	if got.code != 7 || compact(t, got.out) != collected+"false}" || !strings.Contains(got.errOut, "the storage is away") {
		t.Errorf("%+v", got)
	}
	got = r.run("gc")
	if got.code != 7 || !strings.Contains(got.out, "Removed 2 things") || !strings.Contains(got.errOut, "the storage is away") {
		t.Errorf("%+v", got)
	}
	r, _ = garbage(t, trackio.Errorf(trackio.ErrBackendDied, "the backend died"))
	r.fails(10, []string{"hint: start it again"}, "gc")
	r.wrap = func(b trackio.Backend) trackio.Backend { return plain{b} }
	r.fails(9, []string{"does not collect", "hint: ", "trackio doctor --fix"}, "gc", "--json")
	r, _ = garbage(t, trackio.Errorf(errors.ErrUnsupported, "not this storage"))
	r.fails(9, []string{"not this storage"}, "gc")
}

func TestGCGrace(t *testing.T) {
	r, asked := garbage(t, nil)
	for _, text := range []string{"", "7", "-1h", "1h-2m", "-1d", "1d-1h", "d", "1.5d", "week", "1h7d", "7 d", "106752d", "99999999999999999999d", "100000d292y", "9999999h"} {
		r.fails(2, []string{`--grace takes a span of time such as 0s, 90m, 24h or 7d, not "` + text + `"`, "trackio gc --help"}, "gc", "--grace", text)
	}
	if len(*asked) != 0 {
		t.Errorf("collected with %+v", *asked)
	}
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "0d": 0, "90m": 90 * time.Minute, "1.5h": 90 * time.Minute, "7d": 168 * time.Hour, "1d0.5h": 24*time.Hour + 30*time.Minute,
		"2562047h": 2562047 * time.Hour, "100000d": 100_000 * 24 * time.Hour,
	} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("parseSpan(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := parseSpan("100000d" + time.Duration(math.MaxInt64).String()); err == nil {
		t.Error("a span that is too long for a Duration is taken")
	}
	if help := r.ok("gc", "--help"); !strings.Contains(help, "--grace span") || !strings.Contains(help, "(default 24h)") {
		t.Error(help)
	}
}

// A collection that takes long says how far it is; a short one says nothing.
func TestGCTalks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, asked := newRig(t), new([]trackio.CollectOptions)
		r.wrap = func(b trackio.Backend) trackio.Backend {
			return littered{plain{b}, []trackio.Garbage{leftover, oldState}, nil, 6 * time.Second, asked}
		}
		got := r.run("gc", "--json")
		if want := "still collecting; 0 things so far\nstill collecting; 1 thing so far\n"; got.errOut != want || compact(t, got.out) != collected+"false}" {
			t.Errorf("%+v", got)
		}
	})
}
