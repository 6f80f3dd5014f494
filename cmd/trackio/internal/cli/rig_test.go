package cli

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// rig runs command lines in process, on a storage in memory.
type rig struct {
	t     testing.TB
	store *memory.Store
	env   Env
	vars  map[string]string

	openErr error                                 // what Open answers
	wrap    func(trackio.Backend) trackio.Backend // put around an opened backend
	config  Config
	tryErr  map[string]error
	unset   []Setting // what Try tells besides
	opened  []Selection
}

var testNow = time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)

func newRig(t testing.TB) *rig {
	r := &rig{t: t, store: memory.NewStore(), vars: map[string]string{}, tryErr: map[string]error{}}
	r.config = Config{Path: "/etc/trackio.hcl", Default: "local", Backends: []BackendBlock{
		{Type: "sqlite", Name: "local", At: "/etc/trackio.hcl:3"}, {Type: "s3", Name: "team", At: "/etc/trackio.hcl:6"},
	}}
	r.env = Env{
		Stdin: strings.NewReader(""), Now: func() time.Time { return testNow }, Zone: time.UTC,
		Getenv:  func(key string) string { return r.vars[key] },
		Storage: r, Version: Version{Version: "1.2.3", Commit: "abc", Go: "go1.26"},
	}
	return r
}

func (r *rig) Open(_ context.Context, sel Selection) (trackio.Backend, error) {
	r.opened = append(r.opened, sel)
	if r.openErr != nil {
		return nil, r.openErr
	}
	var b trackio.Backend = r.store.Open()
	if r.wrap != nil {
		b = r.wrap(b)
	}
	return b, nil
}

func (r *rig) Config(context.Context, Selection) (Config, error) { return r.config, r.openErr }

func (r *rig) Try(_ context.Context, sel Selection) ([]Setting, error) {
	return append([]Setting{{"dir", "/data/" + sel.Backend, "attribute, /etc/trackio.hcl:4"}}, r.unset...), r.tryErr[sel.Backend]
}

// result is what a command line did.
type result struct {
	code        int
	out, errOut string
}

func (r *rig) run(args ...string) result {
	r.t.Helper()
	return r.runContext(context.Background(), args...)
}

func (r *rig) runContext(ctx context.Context, args ...string) result {
	var out, errOut bytes.Buffer
	env := r.env
	env.Stdout, env.Stderr = &out, &errOut
	if r.env.Stdout != nil {
		env.Stdout = r.env.Stdout
	}
	code := Run(ctx, &env, args)
	return result{code, out.String(), errOut.String()}
}

// ok runs a command line that must succeed and returns its stdout.
func (r *rig) ok(args ...string) string {
	r.t.Helper()
	got := r.run(args...)
	if got.code != 0 {
		r.t.Fatalf("trackio %q: exit code %d\n%s", args, got.code, got.errOut)
	}
	return got.out
}

// fails runs a command line that must fail with a code, say all of the words on
// stderr and nothing on stdout.
func (r *rig) fails(code int, words []string, args ...string) {
	r.t.Helper()
	got := r.run(args...)
	if got.code != code {
		r.t.Errorf("trackio %q: exit code %d, want %d\n%s", args, got.code, code, got.errOut)
	}
	if got.out != "" {
		r.t.Errorf("trackio %q: stdout is not empty: %q", args, got.out)
	}
	for _, word := range words {
		if !strings.Contains(got.errOut, word) {
			r.t.Errorf("trackio %q: stderr lacks %q:\n%s", args, word, got.errOut)
		}
	}
}

// add imports a run that begins at a time.
func (r *rig) add(project, id, name string, begin time.Time, records ...trackio.Record) {
	r.t.Helper()
	ref := trackio.RunRef{Project: project, ID: id}
	header := &trackio.Header{RunInfo: trackio.RunInfo{RunRef: ref, Name: name, CreatedAt: begin}, Kinds: trackio.AllKinds}
	stream := append([]trackio.Record{header}, records...)
	if _, err := r.store.Open().ImportRun(context.Background(), ref, values(stream)); err != nil {
		r.t.Fatal(err)
	}
}

func values(records []trackio.Record) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
	}
}

func at(minute int) string {
	return trackio.FormatTime(begin().Add(time.Duration(minute) * time.Minute))
}

func begin() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func pointer[T any](v T) *T { return &v }

// fill puts two projects into the storage: p with runs first, "team/a 1" twice
// and quiet, and other with a single run.
func (r *rig) fill() {
	r.add("p", "id-first", "first", begin(),
		&trackio.Config{JSON: []byte(`{"lr":1.0,"big":9007199254740993,"x":"Infinity","model":{"depth":50}}`), CreatedAt: at(0)},
		&trackio.Metrics{Rows: []trackio.MetricsRow{
			{Timestamp: at(0), Step: 0, Metrics: []byte(`{"loss":1.0,"img":{"_type":"trackio.image","file_path":"0/a.png","caption":null}}`)},
			{Timestamp: at(1), Step: 1, Metrics: []byte(`{"loss":"NaN","n":9007199254740993}`)},
			{Timestamp: at(2), Step: 2, Metrics: []byte(`{"loss":0.250,"t":{"_type":"trackio.table","_value":[{"i":{"_type":"trackio.image","file_path":"/elsewhere/b.png"}}]}}`)},
			{Timestamp: at(3), Step: 3, Metrics: []byte(`{"loss":2e-3,"notes":{"_type":"trackio.markdown","_value":"# Hi\nthere"}}`)},
		}},
		&trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{
			{Timestamp: at(1), Metrics: []byte(`{"cpu":3,"gpu/0":50.0}`)},
			{Timestamp: at(2), Metrics: []byte(`{"cpu":"NaN"}`)},
		}},
		&trackio.Alerts{Rows: []trackio.AlertRow{
			{Timestamp: at(2), Title: "Spike", Text: pointer("loss > 5"), Level: "error", Step: pointer(int64(2)), AlertID: "a1"},
			{Timestamp: at(3), Title: "fyi", Level: "info", AlertID: "a2"},
		}},
		&trackio.Media{Path: "0/a.png", Size: 3, SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Body: strings.NewReader("abc")},
	)
	row := func(minute int) trackio.Record {
		return &trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: at(minute), Step: 7, Metrics: []byte(`{"loss":5}`)}}}
	}
	r.add("p", "id-old", "team/a 1", begin().Add(time.Hour), row(60))
	r.add("p", "id-new", "team/a 1", begin().Add(2*time.Hour), row(120))
	r.add("p", "id-quiet", "-quiet", begin().Add(3*time.Hour), &trackio.Config{JSON: []byte(`{}`), CreatedAt: at(180)})
	r.add("other", "id-x", "x", begin(), row(0))
}

// plain hides every optional capability of a backend.
type plain struct{ trackio.Backend }

func (plain) As(any) bool { return false }

// failing fails every listing with an error.
type failing struct {
	trackio.Backend
	err error
}

func (f failing) ListProjects(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", f.err) }
}

var errOther = errors.New("something else")
