package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

const nfsRun = "b0a8b84093d14532aa730bd11e7eb019"

// inboxStore is a store with a run that is in the inbox alone, with 3 metrics, a
// system metric, an alert, a config and 3 media files: as Python Trackio wrote
// it, where that is at hand.
func inboxStore(t *testing.T) string {
	t.Helper()
	if dirs := fixtureDirs(t); dirs != nil {
		return dirs["trackio-0.36.0-inbox"]
	}
	dir := t.TempDir()
	p := newProject(t, dir, "cluster", genTraces)
	p.metric(fakeRun{"old-id", "old"}, stampAt(0), 0, `{"loss":1.0}`)
	who := `"project":"cluster","run":"from-nfs","run_id":"` + nfsRun + `"`
	for i := range 3 {
		addFragment(t, dir, "6efee4a157d040d4/00000000", fmt.Sprintf(`{"v":1,"kind":"metric",%s,"metrics":{"loss":1.0,"img":%s},"step":%d,"timestamp":"%s","config":{"lr":2},"log_id":"log-%d"}`,
			who, p.media(fmt.Sprintf("cluster/from-nfs/%d/a.png", i), "img"), i, stampAt(9), i))
	}
	p.done()
	addFragment(t, dir, "6efee4a157d040d4/00000001", `{"v":1,"kind":"system_metric",`+who+`,"metrics":{"gpu":0.5},"timestamp":"`+stampAt(8)+`","log_id":"log-s"}`)
	addFragment(t, dir, "6efee4a157d040d4/00000002", `{"v":1,"kind":"alert",`+who+`,"title":"spike","text":null,"level":"warn","step":2,"timestamp":"`+stampAt(8)+`","alert_id":"alert-1"}`)
	return dir
}

// addFragment adds a line to a file of the inbox.
func addFragment(t *testing.T, dir, name, line string) string {
	t.Helper()
	path := filepath.Join(dir, "inbox", filepath.FromSlash(name)+".jsonl")
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	writeFile(t, path, string(before)+line+"\n")
	return path
}

func inboxFiles(t *testing.T, b *Backend) []string {
	t.Helper()
	files, err := b.fragmentFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A run of which rows wait in the inbox counts as live, and so does one that is
// only there. With force they come in first and share its fate, so that nobody's
// import can bring it back.
func TestChangesDrainTheInbox(t *testing.T) {
	ref := trackio.RunRef{Project: "cluster", ID: nfsRun}
	whole := trackio.Counts{Metrics: 3, SystemMetrics: 1, Alerts: 1}
	tests := map[string]struct {
		change func(context.Context, *Backend, bool) error
		where  trackio.RunRef // afterwards; no id: nowhere
		name   string
	}{
		"delete": {change: func(ctx context.Context, b *Backend, force bool) error {
			return b.DeleteRun(ctx, ref, trackio.DeleteOptions{Force: force})
		}},
		"move": {func(ctx context.Context, b *Backend, force bool) error {
			_, err := b.MoveRun(ctx, ref, "target", trackio.MoveOptions{Force: force})
			return err
		}, trackio.RunRef{Project: "target", ID: nfsRun}, "from-nfs"},
		"rename": {func(ctx context.Context, b *Backend, force bool) error {
			_, err := b.RenameRun(ctx, ref, "new", trackio.RenameOptions{Force: force})
			return err
		}, ref, "new"},
	}
	for name, test := range tests {
		for _, database := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", project there: ", database), func(t *testing.T) {
				dir := inboxStore(t)
				if !database {
					if err := os.Remove(filepath.Join(dir, "cluster.db")); err != nil {
						t.Fatal(err)
					}
				}
				b := openDir(t, dir)
				before := treeOf(t, dir)
				if err := test.change(t.Context(), b, false); trackio.KindOf(err) != trackio.ErrConflict || !strings.Contains(fmt.Sprint(err), "5 rows") {
					t.Fatalf("without force: %v", err)
				}
				if after := strings.ReplaceAll(treeOf(t, dir), ".trackio-go", ""); len(inboxFiles(t, b)) != 3 || !database && strings.Contains(after, "cluster.db") {
					t.Errorf("a refused change has changed the store from\n%s\nto\n%s", before, after)
				}
				if err := test.change(t.Context(), b, true); err != nil {
					t.Fatal(err)
				}
				if err := b.drain(t.Context(), "cluster"); err != nil || len(inboxFiles(t, b)) != 0 {
					t.Errorf("left in the inbox: %v, %v", inboxFiles(t, b), err)
				}
				checkNothingLeft(t, dir)
				for _, project := range []string{"cluster", "target"} {
					for run, err := range b.ListRuns(t.Context(), project, trackio.ListOptions{Counts: true}) {
						if errors.Is(err, trackio.ErrNotFound) {
							break
						}
						if err != nil {
							t.Fatal(err)
						}
						if run.Name != "old" && (run.RunRef != test.where || run.Name != test.name || *run.Counts != whole) {
							t.Errorf("it is in %s, as %q, with %+v", project, run.Name, *run.Counts)
						}
					}
				}
				if test.where.ID == "" {
					if files := mediaFiles(t, dir); len(files) != 0 {
						t.Errorf("files left: %v", files)
					}
					return
				}
				x := mustExport(t, b, test.where.Project, nfsRun)
				if x.config == nil || len(x.bodies) != 3 || len(x.metrics) != 3 {
					t.Errorf("config %v, %d files, %d rows", x.config, len(x.bodies), len(x.metrics))
				}
				for i, row := range x.metrics {
					if row.Step != int64(i) || row.LogID == "" {
						t.Errorf("row %d is %+v", i, row)
					}
				}
			})
		}
	}
}

// literalsOf shows the rows of a project as SQL literals, without what Python draws
// or takes from the clock.
func literalsOf(t *testing.T, dir, project, table, columns string) []string {
	t.Helper()
	quoted := make([]string, 0, 8)
	for _, c := range strings.Fields(columns) {
		quoted = append(quoted, "quote("+c+")")
	}
	return queryAll(t, filepath.Join(dir, project+".db"), table, "SELECT "+strings.Join(quoted, " || ' ' || ")+" FROM "+table+" ORDER BY rowid")
}

// Rows come in as Python's own importer stores them.
func TestDrainAsPython(t *testing.T) {
	const (
		metric = `{"v":1,"kind":"metric","project":"my p","run":"r","run_id":"id",`
		at     = `"timestamp":"2026-01-01T00:00:07+00:00"`
	)
	lit := func(payload string) string { return fmt.Sprintf("X'%X'", payload) }
	tests := []struct {
		name    string
		lines   []string
		table   string
		columns string
		want    []string
		skipped bool
	}{
		{"number tokens and order stay", []string{metric + `"metrics": {"z":1.0, "a":1e5,"big":9007199254740993,"é":"\u00e9"},"step":3,` + at + `,"log_id":"l"}`},
			"metrics", "run_name step timestamp metrics log_id", []string{"'r' 3 '2026-01-01T00:00:07+00:00' " + lit(`{"z":1.0,"a":1e5,"big":9007199254740993,"é":"\u00e9"}`) + " 'l'"}, false},
		{"steps that are missing count on", []string{
			metric + `"metrics":{},"step":null,` + at + `,"log_id":"1"}`, metric + `"step":5,` + at + `,"log_id":"2"}`, metric + `"metrics":null,` + at + `,"log_id":"3"}`},
			"metrics", "step metrics", []string{"8 " + lit("{}"), "5 " + lit("{}"), "9 " + lit("{}")}, false},
		{"a step with a fraction", []string{metric + `"step":2.5,` + at + `,"log_id":"1"}`}, "metrics", "step", []string{"2.5"}, false},
		{"without all timestamps, all are now", []string{metric + `"step":1,` + at + `,"log_id":"1"}`, metric + `"step":2,"timestamp":null,"log_id":"2"}`},
			"metrics", "step timestamp", []string{"1 '2026-02-03T04:05:06.700000+00:00'", "2 '2026-02-03T04:05:06.700000+00:00'"}, false},
		{"the first config counts", []string{metric + `"step":1,"config":{},"log_id":"1"}`, metric + `"step":2,"config":{"lr": 0.10},"log_id":"2"}`, metric + `"step":3,"config":{"no":1},"log_id":"3"}`},
			"configs", "run_name config created_at", []string{"'r' " + lit(`{"lr":0.10}`) + " '2026-02-03T04:05:06.700000+00:00'"}, false},
		{"a known id comes in once", []string{metric + `"step":1,` + at + `,"log_id":"1"}`, metric + `"step":2,` + at + `,"log_id":"1"}`}, "metrics", "step", []string{"1"}, false},
		{"no run id", []string{`{"v":1,"kind":"metric","project":"myp","run":"r","step":1,` + at + `,"log_id":"1"}`}, "metrics", "run_name step", []string{"'r' 1"}, false},
		{"what is no row is passed over", []string{"nonsense", `[1]`, `{"kind":"other"}`, `{"kind":"metric","project":"myp"}`, metric + `"metrics":{"x":"\ud800"},"step":1}`, metric + `"metrics":{"x":NaN}}`,
			metric + `"step":1,` + at + `,"log_id":"1"}`, metric + `"met`}, "metrics", "step", []string{"1"}, true},
		{"system metrics", []string{`{"v":1,"kind":"system_metric","project":"myp","run":"r","run_id":"id","metrics":{"gpu": 0.50},` + at + `,"log_id":"s"}`},
			"system_metrics", "run_name timestamp metrics log_id", []string{"'r' '2026-01-01T00:00:07+00:00' " + lit(`{"gpu":0.50}`) + " 's'"}, false},
		{"alerts", []string{`{"v":1,"kind":"alert","project":"myp","run":"r","run_id":"id","title":"t","text":"x","level":"error","step":4,` + at + `,"alert_id":"a"}`,
			`{"v":1,"kind":"alert","project":"myp","run":"r","run_id":"id","title":null,"level":"",` + at + `,"alert_id":"b"}`},
			"alerts", "run_name title text level step alert_id", []string{"'r' 't' 'x' 'error' 4 'a'", "'r' '' NULL 'WARN' NULL 'b'"}, false},
		{"traces leave the metrics", []string{metric + `"metrics":{"t":{"_type":"trackio.trace","messages":[{"role":"USER","n":1.50,"big":1e16,"ok":true,"no":null}],"metadata":{"k":[7]}},"loss":1.0,
			"l":[{"_type":"trackio.trace"},2.0,{"_type":"trackio.trace","messages":[]}],"only":[{"_type":"trackio.trace"}]},"step":6,` + at + `,"log_id":"L"}`},
			"metrics", "step metrics", nil, false},
	}
	tests[len(tests)-1].lines[0] = strings.ReplaceAll(tests[len(tests)-1].lines[0], "\n\t\t\t", "")
	tests[len(tests)-1].want = []string{"6 " + lit(`{"loss":1.0,"l":[2.0]}`)}
	trace := tests[len(tests)-1]
	trace.name, trace.table, trace.columns = "traces have their table", "traces", "id run_id run_name step key trace_index messages metadata search_text log_id"
	row := func(id, key, index, messages, metadata, search string) string {
		return fmt.Sprintf("'id:L:%s' 'id' 'r' 6 '%s' %s %s %s 'id:l:%s %s %s' 'L'", id, key, index, lit(messages), lit(metadata), id, key, search)
	}
	trace.want = []string{
		row("t", "t", "NULL", `[{"role":"USER","n":1.50,"big":1e16,"ok":true,"no":null}]`, `{"k":[7]}`, "user 1.5 1e+16 true 7"),
		row("l:0", "l", "0", "[]", "{}", ""), row("l:2", "l", "2", "[]", "{}", ""), row("only:0", "only", "0", "[]", "{}", ""),
	}
	tests = append(tests, trace)
	for _, gen := range generations {
		for _, test := range tests {
			t.Run(string(gen)+", "+test.name, func(t *testing.T) {
				dir := t.TempDir()
				p := newProject(t, dir, "myp", gen)
				p.metric(fakeRun{"id", "r"}, stampAt(0), 7, `{}`)
				p.exec("INSERT INTO configs " + map[bool]string{true: "(run_name", false: "(run_id, run_name"}[gen == genNames] + ", config, created_at) VALUES (" +
					map[bool]string{true: "'r'", false: "'id', 'r'"}[gen == genNames] + ", '{}', 'then')")
				p.exec("DELETE FROM configs WHERE " + fmt.Sprint(test.table != "configs"))
				p.done()
				path := addFragment(t, dir, "w/00000000", strings.Join(test.lines, "\n"))
				b := openDir(t, dir)
				b.now = func() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 7e8, time.UTC) }
				var notes []string
				ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })
				if err := b.drain(ctx, "myp"); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the file or its directory is still there: %v", err)
				}
				got := literalsOf(t, dir, "myp", test.table, test.columns)
				if test.table == "metrics" {
					got = got[1:] // the row that was there
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("stored\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
				if (len(notes) > 0) != test.skipped {
					t.Errorf("notes %q", notes)
				}
				if where := literalsOf(t, dir, "myp", "metrics", "rowid"); gen == genNames && len(listAll(t, b, "myp")) != 1 {
					t.Errorf("the rows %v are of %d runs", where, len(listAll(t, b, "myp")))
				}
				checkDatabase(t, filepath.Join(dir, "myp.db"))
				checkNothingLeft(t, dir)
			})
		}
	}
}

// twoProjects is a store with a fragment file of rows of two projects, one of
// which has no database, and without any id for some of them.
func twoProjects(t *testing.T) (*Backend, string) {
	t.Helper()
	dir := t.TempDir()
	newProject(t, dir, "p", genTraces).done()
	var path string
	for i := range 6 {
		id := fmt.Sprintf(`,"log_id":"l%d"`, i)
		if i >= 4 {
			id = ""
		}
		path = addFragment(t, dir, "w/00000000", fmt.Sprintf(`{"v":1,"kind":"metric","project":"%s","run":"r","run_id":"id-%[1]s","metrics":{"i":%d,"t":{"_type":"trackio.trace"}},"step":null%s}`,
			[]string{"p", "q"}[i%2], i, id))
	}
	addFragment(t, dir, "w/00000000", `{"v":1,"kind":"system_metric","project":"p","run":"r","run_id":"id-p","metrics":{}}`)
	addFragment(t, dir, "w/00000000", `{"v":1,"kind":"alert","project":"p","run":"r","run_id":"id-p","title":"t"}`)
	return openDir(t, dir), path
}

// A process that is killed between the commits of two projects, or before the
// file is gone, leaves a file that the next import finishes, and nothing twice.
func TestDrainInterrupted(t *testing.T) {
	counts := func(b *Backend, project string) string {
		for run, err := range b.ListRuns(t.Context(), project, trackio.ListOptions{Counts: true}) {
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%s %+v", run.ID, *run.Counts)
		}
		return "no run"
	}
	wantP := "id-p " + fmt.Sprintf("%+v", trackio.Counts{Metrics: 3, SystemMetrics: 1, Alerts: 1, Traces: 3})
	wantQ := "id-q " + fmt.Sprintf("%+v", trackio.Counts{Metrics: 3, Traces: 3})
	t.Run("between two commits", func(t *testing.T) {
		b, path := twoProjects(t)
		lock, err := tryLockFile(b.lock("q"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := b.drain(ctx, "p"); !errors.Is(err, context.Canceled) {
			t.Fatalf("with a lock held: %v", err)
		}
		if _, err := os.Stat(path); err != nil || !strings.HasPrefix(counts(b, "p"), "id-p {Metrics:3") || b.hasDatabase("q") {
			t.Fatalf("file %v; p has %s", err, counts(b, "p"))
		}
		lock.release()
		if err := b.drain(t.Context(), "q"); err != nil {
			t.Fatal(err)
		}
		if p, q := counts(b, "p"), counts(b, "q"); p != wantP || q != wantQ || len(inboxFiles(t, b)) != 0 {
			t.Errorf("p has %s, q has %s, inbox %v", p, q, inboxFiles(t, b))
		}
		checkNothingLeft(t, b.dir)
	})
	t.Run("before the file went", func(t *testing.T) {
		b, path := twoProjects(t)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := b.drain(t.Context(), "p"); err != nil {
				t.Fatal(err)
			}
			if p, q := counts(b, "p"), counts(b, "q"); p != wantP || q != wantQ || len(inboxFiles(t, b)) != 0 {
				t.Errorf("p has %s, q has %s, inbox %v", p, q, inboxFiles(t, b))
			}
			writeFile(t, path, string(data))
		}
	})
}

// An import that waits for the lock while another one, and the change that this
// was for, go first must not bring the rows back.
func TestDrainComesTooLate(t *testing.T) {
	b, path := twoProjects(t)
	file, err := scanFragments(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-p"}, trackio.DeleteOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := b.drainFile(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if runs := listAll(t, b, "p"); len(runs) != 0 {
		t.Errorf("it is back: %+v", runs)
	}
}

// Other runs of the project come in too, without force; what appears later, and
// what is another project's and cannot be imported, stays for the next time.
func TestDrainOfOthers(t *testing.T) {
	b, _ := twoProjects(t)
	p := other(&fakeProject{t: t, dir: b.dir, gen: genTraces}, "p")
	p.gen = genTraces
	p.metric(fakeRun{"mine", "mine"}, stampAt(0), 0, `{}`)
	p.done()
	writeFile(t, filepath.Join(b.dir, "broken.db"), strings.Repeat("garbage ", 500))
	stuck := addFragment(t, b.dir, "a/00000000", `{"v":1,"kind":"metric","project":"broken","run":"r","log_id":"x","step":1}`)
	var notes []string
	ctx := trackio.WithNotes(t.Context(), func(note string) { notes = append(notes, note) })
	if err := b.DeleteRun(ctx, trackio.RunRef{Project: "p", ID: "mine"}, trackio.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if runs := listAll(t, b, "p"); len(runs) != 1 || runs[0].ID != "id-p" || runs[0].Counts.Metrics != 3 {
		t.Errorf("runs %+v", runs)
	}
	if files := inboxFiles(t, b); !slices.Equal(files, []string{stuck}) || len(notes) != 1 || !strings.Contains(notes[0], stuck) {
		t.Errorf("inbox %v, notes %q", files, notes)
	}
	addFragment(t, b.dir, "w/00000001", `{"v":1,"kind":"metric","project":"p","run":"r","run_id":"id-p","log_id":"late","step":9}`)
	if err := b.DeleteRun(ctx, trackio.RunRef{Project: "p", ID: "id-p"}, trackio.DeleteOptions{}); !errors.Is(err, trackio.ErrConflict) || len(inboxFiles(t, b)) != 2 {
		t.Errorf("with a row that came later: %v, inbox %v", err, inboxFiles(t, b))
	}
}

// A row that cannot be imported stands against the change: nothing that waits
// may be lost. Its file stays as it is.
func TestDrainRefuses(t *testing.T) {
	const row = `{"v":1,"kind":"metric","project":"p","run":"r","run_id":"id-1","log_id":"x","step":1`
	tests := []struct {
		name, line string
		kind       error
		make       string // of the database
	}{
		{"another format", `{"v":2,"kind":"metric","project":"p","run":"r","run_id":"id-1","log_id":"x"}`, errors.ErrUnsupported, ""},
		{"metrics that are no object", row + `,"metrics":[1]}`, trackio.ErrDataLoss, ""},
		{"a step beyond 64 bits", row[:len(row)-1] + `99999999999999999999}`, trackio.ErrDataLoss, ""},
		{"a timestamp that is a number", row + `,"timestamp":5}`, trackio.ErrDataLoss, ""},
		{"a table that does not take it", row + `}`, errors.ErrUnsupported, "CREATE UNIQUE INDEX once ON metrics(run_id)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "p", genTraces)
			p.metric(fakeRun{"id-1", "r"}, stampAt(0), 0, `{}`)
			if test.make != "" {
				p.exec(test.make)
			}
			p.done()
			path := addFragment(t, dir, "w/00000000", test.line)
			before := contentOf(t, dir)
			b := openDir(t, dir)
			err := b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-1"}, trackio.DeleteOptions{Force: true})
			if trackio.KindOf(err) != test.kind || !strings.Contains(fmt.Sprint(err), "row 1 of inbox file "+path) || trackio.HintOf(err) == "" {
				t.Errorf("got %v (%s), hint %q", err, trackio.KindOf(err), trackio.HintOf(err))
			}
			if after := contentOf(t, dir); after != before {
				t.Errorf("the store changed:\n%s\nwas\n%s", after, before)
			}
			if data, err := os.ReadFile(path); string(data) != test.line+"\n" {
				t.Errorf("the file is %q, %v", data, err)
			}
			checkNothingLeft(t, dir)
		})
	}
}

// Whoever has copied a run and then deletes it as it was copied must not delete
// rows that were still in the inbox then.
func TestDrainAgainstRevision(t *testing.T) {
	b, _ := twoProjects(t)
	p := other(&fakeProject{t: t, dir: b.dir, gen: genTraces}, "p")
	p.gen = genTraces
	p.metric(fakeRun{"id-p", "r"}, stampAt(0), 0, `{}`)
	p.done()
	ref := trackio.RunRef{Project: "p", ID: "id-p"}
	info, err := b.GetRun(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRun(t.Context(), ref, trackio.DeleteOptions{Force: true, IfRevision: info.Revision}); !errors.Is(err, trackio.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	if info, err = b.GetRun(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if x := mustExport(t, b, "p", "id-p"); len(x.metrics) != 4 {
		t.Errorf("%d rows", len(x.metrics))
	}
	if err := b.DeleteRun(t.Context(), ref, trackio.DeleteOptions{Force: true, IfRevision: info.Revision}); err != nil {
		t.Fatal(err)
	}
}

func TestPythonNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1", "-7": "-7", "1.0": "1.0", "1.50": "1.5", "1e5": "100000.0", "1e16": "1e+16", "123456789012345.6": "123456789012345.6",
		"0.0001": "0.0001", "0.00001": "1e-05", "-0.0": "-0.0", "18446744073709551615": "18446744073709551615", "18446744073709551616": "1.8446744073709552e+19",
	} {
		if got := pythonNumber(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}
