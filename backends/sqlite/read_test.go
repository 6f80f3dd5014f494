package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// openDir opens a backend that is closed with the test.
func openDir(t testing.TB, dir string) *Backend {
	t.Helper()
	b, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// exported is a whole stream.
type exported struct {
	header  *trackio.Header
	config  *trackio.Config
	metrics []trackio.MetricsRow
	system  []trackio.SystemMetricsRow
	alerts  []trackio.AlertRow
	traces  []trackio.TraceRow
	media   map[string]string // path: sha256, or "missing"
	bodies  map[string]string // path: content
	paths   []string
	batches int
	digest  string
}

func export(ctx context.Context, b *Backend, ref trackio.RunRef, opts trackio.ExportOptions) (*exported, error) {
	x := &exported{media: map[string]string{}, bodies: map[string]string{}}
	digest := trackio.NewDigest()
	for r, err := range trackio.Checked(b.ExportRun(ctx, ref, opts)) {
		if err != nil {
			return nil, err
		}
		if err := x.add(r); err != nil {
			return nil, err
		}
		digest.Add(r)
	}
	x.digest = digest.Sum()
	return x, nil
}

func (x *exported) add(r trackio.Record) error {
	switch r := r.(type) {
	case *trackio.Header:
		x.header = r
	case *trackio.Config:
		x.config = r
	case *trackio.Metrics:
		x.metrics, x.batches = append(x.metrics, r.Rows...), x.batches+1
	case *trackio.SystemMetrics:
		x.system = append(x.system, r.Rows...)
	case *trackio.Alerts:
		x.alerts = append(x.alerts, r.Rows...)
	case *trackio.Traces:
		x.traces = append(x.traces, r.Rows...)
	case *trackio.Media:
		x.paths = append(x.paths, r.Path)
		if r.Missing {
			x.media[r.Path] = "missing"
			return nil
		}
		if r.Body != nil {
			data, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			if int64(len(data)) != r.Size {
				return fmt.Errorf("%s: %d bytes, size says %d", r.Path, len(data), r.Size)
			}
			sum := sha256.Sum256(data)
			r.SHA256 = hex.EncodeToString(sum[:])
			x.bodies[r.Path] = string(data)
		}
		x.media[r.Path] = r.SHA256
	}
	return nil
}

// mustExport exports a run whole.
func mustExport(t testing.TB, b *Backend, project, id string) *exported {
	t.Helper()
	x, err := export(t.Context(), b, trackio.RunRef{Project: project, ID: id}, trackio.ExportOptions{})
	if err != nil {
		t.Fatalf("export %s/%s: %v", project, id, err)
	}
	return x
}

// listAll lists the runs of a project with everything.
func listAll(t testing.TB, b *Backend, project string) []trackio.RunInfo {
	t.Helper()
	var runs []trackio.RunInfo
	for run, err := range b.ListRuns(t.Context(), project, trackio.ListOptions{Config: true, Latest: true, Counts: true}) {
		if err != nil {
			t.Fatalf("list %s: %v", project, err)
		}
		runs = append(runs, run)
	}
	return runs
}

// readEverything calls every method that reads, for all that is in a directory,
// and writes down what it saw.
func readEverything(dir string, out io.Writer) error {
	ctx := context.Background()
	b, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	for project, err := range b.ListProjects(ctx) {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "project", project)
		for run, err := range b.ListRuns(ctx, project, trackio.ListOptions{Config: true, Latest: true, Counts: true}) {
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "run %s %q %s %+v\n", run.ID, run.Name, trackio.FormatTime(run.CreatedAt), *run.Counts)
			if _, err := b.GetRun(ctx, run.RunRef); err != nil {
				return err
			}
			whole, err := export(ctx, b, run.RunRef, trackio.ExportOptions{})
			if err != nil {
				return err
			}
			hashes, err := export(ctx, b, run.RunRef, trackio.ExportOptions{NoBodies: true})
			if err != nil {
				return err
			}
			if whole.digest != hashes.digest {
				return fmt.Errorf("run %s: digest with bodies %s, without %s", run.ID, whole.digest, hashes.digest)
			}
			sum, err := b.SummarizeRun(ctx, run.RunRef)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, whole.digest, sum.MetricNames, sum.SystemMetrics)
		}
		for alert, err := range b.ListAlerts(ctx, project, trackio.AlertOptions{}) {
			if err != nil {
				return err
			}
			fmt.Fprintln(out, "alert", alert.RunID, alert.RunName, alert.Title)
		}
	}
	return nil
}

// readAll is readEverything for a test.
func readAll(t testing.TB, dir string) string {
	t.Helper()
	var out strings.Builder
	if err := readEverything(dir, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRunsOfEachGeneration(t *testing.T) {
	for _, gen := range generations {
		t.Run(string(gen), func(t *testing.T) {
			dir := t.TempDir()
			p := newProject(t, dir, "demo", gen)
			fillProject(p)
			p.done()
			b := openDir(t, dir)

			var got []string
			for _, r := range listAll(t, b, "demo") {
				got = append(got, fmt.Sprintf("%s|%s|%s|%d/%d/%d/%d|%s", r.ID, r.Name, trackio.FormatTime(r.CreatedAt),
					r.Counts.Metrics, r.Counts.SystemMetrics, r.Counts.Alerts, r.Counts.Traces, r.Config))
			}
			const config = `{"lr":0.1,"big":4611686018427387904}`
			want := []string{
				"id-c|team/bare|2026-01-01T00:00:05+00:00|1/0/0/0|",
				"id-a|train|2026-01-01T00:00:10+00:00|5/1/1/0|" + config,
				"id-b|train|2026-01-01T00:00:20+00:00|1/0/0/0|",
				"id-d|only alerts|2026-01-01T00:00:30+00:00|0/0/1/0|",
			}
			switch gen {
			case genNames:
				want = []string{
					"team/bare|team/bare|2026-01-01T00:00:05+00:00|1/0/0/0|",
					"train|train|2026-01-01T00:00:10+00:00|5/0/0/0|" + config,
					"second|second|2026-01-01T00:00:20+00:00|1/0/0/0|",
				}
			case genTraces:
				want[1] = "id-a|train|2026-01-01T00:00:10+00:00|5/1/1/1|" + config
			}
			if !slices.Equal(got, want) {
				t.Errorf("runs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestExportIsRelativeToTheRun(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.done()
	x := mustExport(t, openDir(t, dir), "demo", "id-a")

	if got, want := string(x.metrics[0].Metrics), `{"loss":0.0,"n":9007199254740993,"img":{"_type":"trackio.image","file_path":"0/a0.png","caption":null}}`; got != want {
		t.Errorf("metrics %s, want %s", got, want)
	}
	if got, want := x.traces[0].SearchText, "id-a:t user 4/t.png what"; got != want {
		t.Errorf("search text %q, want %q", got, want)
	}
	want := map[string]string{"4/t.png": "trace file"}
	for i := range 5 {
		want[fmt.Sprintf("%d/a%d.png", i, i)] = fmt.Sprint("file ", i)
	}
	if fmt.Sprint(x.bodies) != fmt.Sprint(want) {
		t.Errorf("media %v, want %v", x.bodies, want)
	}
	if !slices.IsSorted(x.paths) {
		t.Errorf("media are not in order: %q", x.paths)
	}
	if x.header.Revision == "" || *x.header.LastStep != 4 || x.config.CreatedAt != stampAt(0) {
		t.Errorf("header %+v, config %+v", x.header, x.config)
	}
	if x.alerts[0].AlertID != "alert "+stampAt(12)+"spike" || *x.alerts[0].Step != 2 || x.alerts[0].Text != nil {
		t.Errorf("alert %+v", x.alerts[0])
	}
}

func TestReadingChangesNothing(t *testing.T) {
	// Each state of a directory; the tree is compared byte by byte, with the
	// times of change.
	states := map[string]func(t *testing.T, live, dir string){
		"closed cleanly": nil,
		"killed writer": func(t *testing.T, live, dir string) {
			copyTree(t, live, dir, "")
		},
		"copied without -shm": func(t *testing.T, live, dir string) {
			copyTree(t, live, dir, "-shm")
		},
		"empty -wal": func(t *testing.T, live, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "demo.db-wal"), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		},
		"rollback journal": func(t *testing.T, live, dir string) {
			p := newProject(t, dir, "classic", genTraces)
			p.exec("PRAGMA journal_mode = persist")
			fillProject(p)
			p.done()
			if _, err := os.Stat(filepath.Join(dir, "classic.db-journal")); err != nil {
				t.Fatal("no journal persists:", err)
			}
		},
	}
	for name, prepare := range states {
		for _, gen := range generations {
			t.Run(name+"/"+string(gen), func(t *testing.T) {
				live, dir := t.TempDir(), t.TempDir()
				p := newProject(t, live, "demo", gen)
				fillProject(p)
				if prepare != nil && (name == "killed writer" || name == "copied without -shm") {
					prepare(t, live, dir)
					p.done()
				} else {
					p.done()
					copyTree(t, live, dir, "")
					if prepare != nil {
						prepare(t, live, dir)
					}
				}
				want := readAll(t, live)
				before := treeOf(t, dir)
				got := readAll(t, dir)
				sameTree(t, dir, before)
				if !strings.Contains(got, want) && !strings.Contains(got, strings.TrimPrefix(want, "project demo\n")) {
					t.Errorf("read\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// copyTree copies a directory, without the files of one ending.
func copyTree(t testing.TB, from, to, without string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if without == "" {
		return
	}
	removed := 0
	err := filepath.WalkDir(to, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, without) {
			removed++
			err = os.Remove(path)
		}
		return err
	})
	if err != nil || removed == 0 {
		t.Fatalf("%d files end in %s: %v", removed, without, err)
	}
}

func TestMissingAndEmptyDirectories(t *testing.T) {
	parent := t.TempDir()
	if err := os.Mkdir(filepath.Join(parent, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	before := treeOf(t, parent)
	for _, name := range []string{"missing/deep", "empty"} {
		b := openDir(t, filepath.Join(parent, name))
		for project, err := range b.ListProjects(t.Context()) {
			t.Errorf("%s: project %q, %v", name, project, err)
		}
		for _, project := range []string{"x", "../x", "", "registry-x", "a\x00b"} {
			_, err := b.GetRun(t.Context(), trackio.RunRef{Project: project, ID: "r"})
			if trackio.KindOf(err) != trackio.ErrNotFound {
				t.Errorf("%s: get in %q: %v", name, project, err)
			}
		}
	}
	sameTree(t, parent, before)

	file := filepath.Join(parent, "a file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Dir: file}); trackio.KindOf(err) != trackio.ErrInvalid || !strings.Contains(err.Error(), file) {
		t.Errorf("opening a file: %v", err)
	}
}

func TestDirectoryNames(t *testing.T) {
	for _, name := range []string{"with space", "a?mode=memory", "a#b", "100%", "%41", "größe-π", "a&b=c", "semi;colon", "[x]*", `quo"te'`, "-wal"} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, name)
			p := newProject(t, dir, "demo", genTraces)
			fillProject(p)
			p.done()
			if err := os.MkdirAll(filepath.Join(dir, "inbox", "w"), 0o777); err != nil {
				t.Fatal(err)
			}
			line := `{"v":1,"kind":"alert","project":"demo","run":"train","run_id":"id-a"}` + "\n"
			if err := os.WriteFile(filepath.Join(dir, "inbox", "w", "00000000.jsonl"), []byte(line), 0o666); err != nil {
				t.Fatal(err)
			}
			before := treeOf(t, parent)
			b := openDir(t, dir)
			runs := listAll(t, b, "demo")
			if len(runs) != 4 || runs[1].Counts.Pending != 1 {
				t.Errorf("runs %+v", runs)
			}
			if x := mustExport(t, b, "demo", "id-a"); len(x.bodies) != 6 {
				t.Errorf("media %v", x.media)
			}
			sameTree(t, parent, before)
		})
	}
}
