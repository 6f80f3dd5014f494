package sqlite

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

const fixtures = "../../../shared/fixtures"

// fixtureDirs returns copies of the directories that Python Trackio itself
// wrote, by name. Where they are not at hand the rest of the tests, on databases
// of the same schemas, stands alone, unless TRACKIO_REQUIRE_FIXTURES is set.
func fixtureDirs(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(fixtures)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("TRACKIO_REQUIRE_FIXTURES") == "" {
		t.Log("no fixtures in", fixtures)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		dir := filepath.Join(t.TempDir(), entry.Name())
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(fixtures, entry.Name()))); err != nil {
			t.Fatal(err)
		}
		dirs[entry.Name()] = dir
	}
	if len(dirs) < 6 {
		t.Fatalf("only %d fixtures in %s", len(dirs), fixtures)
	}
	return dirs
}

// fixtureRun is what expected.json says about a run.
type fixtureRun struct {
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	CreatedAt     string            `json:"created_at"`
	Metrics       int64             `json:"metric_rows"`
	LastStep      *int64            `json:"last_step"`
	SystemMetrics int64             `json:"system_metric_rows"`
	Alerts        int64             `json:"alerts"`
	Traces        int64             `json:"traces"`
	Config        any               `json:"config"`
	Media         map[string]string `json:"media"`
}

func TestFixtures(t *testing.T) {
	for name, dir := range fixtureDirs(t) {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var expected struct {
				Projects map[string]struct{ Runs []fixtureRun }
			}
			if err := json.Unmarshal(data, &expected); err != nil {
				t.Fatal(err)
			}
			before := treeOf(t, dir)
			b := openDir(t, dir)
			n := 0
			for project, err := range b.ListProjects(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
				want := expected.Projects[project].Runs
				got := listAll(t, b, project)
				if len(got) != len(want) {
					t.Fatalf("project %s has %d runs, want %d", project, len(got), len(want))
				}
				for i := range want {
					checkFixtureRun(t, b, got[i], want[i])
				}
			}
			if n != len(expected.Projects) {
				t.Errorf("%d projects, want %d", n, len(expected.Projects))
			}
			sameTree(t, dir, before)
		})
	}
}

func checkFixtureRun(t *testing.T, b *Backend, got trackio.RunInfo, want fixtureRun) {
	t.Helper()
	counts := trackio.Counts{Metrics: want.Metrics, SystemMetrics: want.SystemMetrics, Alerts: want.Alerts, Traces: want.Traces}
	if got.ID != want.ID || got.Name != want.Name || trackio.FormatTime(got.CreatedAt) != want.CreatedAt || *got.Counts != counts {
		t.Errorf("run %+v with %+v, want %+v", got, *got.Counts, want)
	}
	if !reflect.DeepEqual(got.LastStep, want.LastStep) {
		t.Errorf("run %s: last step %v, want %v", want.ID, got.LastStep, want.LastStep)
	}
	var config any
	if got.Config != nil {
		if err := json.Unmarshal(got.Config, &config); err != nil {
			t.Error(err)
		}
	}
	if !reflect.DeepEqual(config, want.Config) {
		t.Errorf("run %s: config %v, want %v", want.ID, config, want.Config)
	}
	x := mustExport(t, b, got.Project, got.ID)
	if int64(len(x.metrics)) != want.Metrics || int64(len(x.traces)) != want.Traces {
		t.Errorf("run %s: %d metrics and %d traces, want %d and %d", want.ID, len(x.metrics), len(x.traces), want.Metrics, want.Traces)
	}
	media := map[string]string{}
	for path, sum := range want.Media {
		_, rest, _ := strings.Cut(path, "/") // the project, as that release spelled it
		media[strings.TrimPrefix(rest, want.Name+"/")] = sum
	}
	if !reflect.DeepEqual(x.media, media) {
		t.Errorf("run %s: media %v, want %v", want.ID, x.media, media)
	}
}

// The zoo has what a plain run has not: references in table cells and in traces,
// and a run whose directory is that of the project's files.
func TestFixtureZoo(t *testing.T) {
	dir, ok := fixtureDirs(t)["trackio-0.36.0-zoo"]
	if !ok {
		return
	}
	b := openDir(t, dir)
	zoo := mustExport(t, b, "media-zoo", "20c3bea181fb4b048624003e32f20152")
	if !strings.Contains(string(zoo.metrics[1].Metrics), `"tokens":9007199254740993,"ratio":1.0,"table"`) {
		t.Errorf("number tokens changed: %s", zoo.metrics[1].Metrics)
	}
	trace := zoo.traces[0]
	const path = "3/12d7b48a-764e-4dfd-b6cb-6946818e482c.png"
	if !strings.Contains(string(trace.Messages), `"file_path":"`+path+`"`) || !strings.Contains(trace.SearchText, " "+path+" c ") {
		t.Errorf("trace %s, search text %q", trace.Messages, trace.SearchText)
	}
	for _, row := range zoo.metrics {
		if strings.Contains(string(row.Metrics), "media-zoo/zoo") {
			t.Errorf("a reference has its old path: %s", row.Metrics)
		}
	}
	files := mustExport(t, b, "media-zoo", "b061d9dfae954c3fbf15ecc4f66e5395")
	if len(files.media) != 1 || files.paths[0] != "0/247816c1-2787-40ee-be14-8108e9307c0c.png" {
		t.Errorf("media of the run files: %v", files.media)
	}
	sum, err := b.SummarizeRun(t.Context(), zoo.header.RunRef)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sum.MetricNames, " "); got != "audio hist html img loss ratio report table tokens" {
		t.Errorf("metric names %q", got)
	}
}
