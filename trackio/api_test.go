package trackio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// store imports a run of one row and one alert, and a config if there is one.
func store(b trackio.Backend, project, id, name, created, config string) error {
	records := []trackio.Record{&trackio.Header{RunInfo: trackio.RunInfo{Name: name}, Kinds: trackio.AllKinds}}
	if config != "" {
		records = append(records, &trackio.Config{JSON: []byte(config), CreatedAt: created})
	}
	records = append(records,
		&trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: created, Step: 3, Metrics: []byte(`{"loss":0.5}`), LogID: id}}},
		&trackio.Alerts{Rows: []trackio.AlertRow{
			{Timestamp: created, Title: "first of " + id, Level: "info"},
			{Timestamp: created, Title: "second of " + id, Level: "warn"},
		}},
	)
	_, err := b.ImportRun(context.Background(), trackio.RunRef{Project: project, ID: id}, sequence(records, nil))
	return err
}

func day(n int) string {
	return trackio.FormatTime(time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC))
}

// newMemory returns a storage with three runs in one project and one in another.
func newMemory(t *testing.T) *memory.Backend {
	t.Helper()
	b := memory.New()
	err := errors.Join(
		store(b, "mymodel", "b", "twice", day(2), `{"seed":9007199254740993,"lr":0.10}`),
		store(b, "mymodel", "a", "twice", day(1), ""),
		store(b, "mymodel", "c", "once", day(3), `{}`),
		store(b, "other", "a", "elsewhere", day(1), ""),
	)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ids(runs []*trackio.Run) string {
	var all []string
	for _, r := range runs {
		all = append(all, r.ID())
	}
	return fmt.Sprint(all)
}

func TestApiRuns(t *testing.T) {
	ctx := t.Context()
	api := trackio.New(newMemory(t))
	if projects, err := api.Projects(ctx); err != nil || !slices.Equal(projects, []string{"mymodel", "other"}) {
		t.Errorf("Projects: %q, %v", projects, err)
	}
	for _, spelling := range []string{"mymodel", "my model", "my.model"} {
		runs, err := api.Runs(ctx, spelling)
		if err != nil {
			t.Fatalf("Runs(%q): %v", spelling, err)
		}
		if runs.Project() != "mymodel" || runs.Len() != 3 || ids(slices.Collect(runs.All())) != "[a b c]" || runs.At(0).ID() != "a" {
			t.Errorf("Runs(%q): %d runs %s of %q, want a, b and c of mymodel", spelling, runs.Len(), ids(slices.Collect(runs.All())), runs.Project())
		}
		if got := ids(runs.Named("twice")); got != "[a b]" {
			t.Errorf("Named: %s, want both", got)
		}
		if got := runs.Named("a"); got != nil {
			t.Errorf("Named(an id): %s, want none", ids(got))
		}
		if run, ok := runs.ByID("c"); !ok || run.Name() != "once" {
			t.Errorf("ByID: %v, %t", run, ok)
		}
		if _, ok := runs.ByID("once"); ok {
			t.Error("ByID finds a name")
		}
	}
	if _, err := api.Runs(ctx, "no such"); trackio.KindOf(err) != trackio.ErrNotFound {
		t.Errorf("Runs of an unknown project: %v, want not found", err)
	}
	if run, err := api.Run(ctx, "my model", "b"); err != nil || run.Name() != "twice" || trackio.FormatTime(run.CreatedAt()) != day(2) {
		t.Errorf("Run: %v, %v", run, err)
	}
	if _, err := api.Run(ctx, "mymodel", "twice"); trackio.KindOf(err) != trackio.ErrNotFound {
		t.Errorf("Run by a name: %v, want not found", err)
	}
}

// counted counts how often a run is asked for.
type counted struct {
	*memory.Backend
	gets int
}

func (c *counted) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	c.gets++
	return c.Backend.GetRun(ctx, ref)
}

func TestRunConfig(t *testing.T) {
	ctx := t.Context()
	b := &counted{Backend: newMemory(t)}
	runs, err := trackio.New(b).Runs(ctx, "mymodel")
	if err != nil {
		t.Fatal(err)
	}
	if b.gets != 0 {
		t.Errorf("a listing asks for %d runs", b.gets)
	}
	run := runs.At(1)
	for range 2 {
		config, err := run.Config(ctx)
		if err != nil || config["seed"] != json.Number("9007199254740993") || config["lr"] != json.Number("0.10") {
			t.Errorf("Config: %v, %v", config, err)
		}
	}
	if b.gets != 1 {
		t.Errorf("the config was asked for %d times, want once", b.gets)
	}
	for range 2 {
		if config, err := runs.At(0).Config(ctx); config != nil || err != nil {
			t.Errorf("Config of a run without: %v, %v", config, err)
		}
	}
	if b.gets != 2 {
		t.Errorf("the absent config was asked for %d times, want once", b.gets-1)
	}
	rich, err := trackio.New(b).RunsWith(ctx, "mymodel", trackio.ListOptions{Config: true, Latest: true, Counts: true})
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := rich.At(1).RawConfig(ctx); err != nil || string(raw) != `{"seed":9007199254740993,"lr":0.10}` || b.gets != 2 {
		t.Errorf("RawConfig after a rich listing: %s, %v, asked %d times more", raw, err, b.gets-2)
	}
	if info := rich.At(1).Info(); info.LastStep == nil || *info.LastStep != 3 || info.Counts == nil || info.Counts.Alerts != 2 {
		t.Errorf("Info after a rich listing: %+v", info)
	}
}

func TestRunMoveRenameDelete(t *testing.T) {
	ctx := t.Context()
	api := trackio.New(newMemory(t))
	run, err := api.Run(ctx, "mymodel", "a")
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]error{
		"my.model": trackio.ErrInvalid, "other": trackio.ErrExists, "registry-x": trackio.ErrInvalid, "new_traces": trackio.ErrInvalid,
	} {
		if err := run.Move(ctx, target); trackio.KindOf(err) != want || run.Project() != "mymodel" {
			t.Errorf("Move to %q: %v, the run is in %q, want %v", target, err, run.Project(), want)
		}
	}
	if err := run.Move(ctx, "the archive"); err != nil || run.Project() != "thearchive" || run.ID() != "a" {
		t.Errorf("Move: %v, the run is %q in %q", err, run.ID(), run.Project())
	}
	if err := run.Rename(ctx, "new name"); err != nil || run.Name() != "new name" {
		t.Errorf("Rename: %v, the name is %q", err, run.Name())
	}
	stale := run.Info().Revision
	if err := run.Rename(ctx, "again"); err != nil {
		t.Errorf("Rename: %v", err)
	}
	if err := run.DeleteWith(ctx, trackio.DeleteOptions{IfRevision: stale}); trackio.KindOf(err) != trackio.ErrConflict {
		t.Errorf("Delete of a state that is over: %v, want a conflict", err)
	}
	if err := run.DeleteWith(ctx, trackio.DeleteOptions{IfRevision: run.Info().Revision}); err != nil {
		t.Errorf("Delete: %v", err)
	}
	for what, err := range map[string]error{"Delete": run.Delete(ctx), "Move": run.Move(ctx, "x"), "Rename": run.Rename(ctx, "x")} {
		if trackio.KindOf(err) != trackio.ErrNotFound {
			t.Errorf("%s of a deleted run: %v, want not found", what, err)
		}
	}
	records := 0
	for _, err := range run.Records(ctx, trackio.ExportOptions{}) {
		if records++; trackio.KindOf(err) != trackio.ErrNotFound {
			t.Errorf("Records of a deleted run: %v, want not found", err)
		}
	}
	if records != 1 {
		t.Errorf("Records of a deleted run yields %d items", records)
	}
}

// TestReservedProjectThatExists sees that a project of a reserved name, made by
// somebody else, stays usable.
func TestReservedProjectThatExists(t *testing.T) {
	ctx := t.Context()
	b := newMemory(t)
	if err := store(b, "old_system", "x", "x", day(1), ""); err != nil {
		t.Fatal(err)
	}
	run, err := trackio.New(b).Run(ctx, "mymodel", "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Move(ctx, "old_system"); err != nil || run.Project() != "old_system" {
		t.Errorf("Move: %v, the run is in %q", err, run.Project())
	}
}

func TestApiAlerts(t *testing.T) {
	ctx := t.Context()
	native := newMemory(t)
	for what, b := range map[string]trackio.Backend{"listed": native, "gathered": struct{ trackio.Backend }{native}} {
		api := trackio.New(b)
		for _, c := range []struct {
			opts trackio.AlertOptions
			want []string
		}{
			{trackio.AlertOptions{}, []string{"second of c", "first of c", "second of b", "first of b", "second of a", "first of a"}},
			{trackio.AlertOptions{RunID: "b"}, []string{"second of b", "first of b"}},
			{trackio.AlertOptions{RunID: "none"}, nil},
			{trackio.AlertOptions{Level: "warn"}, []string{"second of c", "second of b", "second of a"}},
			{trackio.AlertOptions{Since: time.Date(2026, 1, 2, 1, 0, 0, 0, time.FixedZone("", 3600)), Level: "info"}, []string{"first of c", "first of b"}},
		} {
			alerts, err := api.Alerts(ctx, "my model", c.opts)
			var got []string
			for _, alert := range alerts {
				got = append(got, alert.Title)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s alerts with %+v: %q, %v, want %q", what, c.opts, got, err, c.want)
			}
		}
		if _, err := api.Alerts(ctx, "unknown", trackio.AlertOptions{}); trackio.KindOf(err) != trackio.ErrNotFound {
			t.Errorf("%s alerts of an unknown project: %v, want not found", what, err)
		}
		run, err := api.Run(ctx, "mymodel", "a")
		if err != nil {
			t.Fatal(err)
		}
		if alerts, err := run.Alerts(ctx); err != nil || len(alerts) != 2 || alerts[0].Title != "second of a" || alerts[0].RunName != "twice" {
			t.Errorf("%s alerts of a run: %+v, %v", what, alerts, err)
		}
	}
}

// TestWithoutCapabilities sees what a backend of the seven methods cannot do.
func TestWithoutCapabilities(t *testing.T) {
	ctx := t.Context()
	run, err := trackio.New(struct{ trackio.Backend }{newMemory(t)}).Run(ctx, "mymodel", "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Rename(ctx, "x"); !errors.Is(err, errors.ErrUnsupported) || run.Name() != "twice" {
		t.Errorf("Rename: %v, the name is %q, want unsupported", err, run.Name())
	}
}

func TestApiClose(t *testing.T) {
	b := newMemory(t)
	api := trackio.New(b)
	if api.Backend() != trackio.Backend(b) {
		t.Error("Backend returns another one")
	}
	if err := api.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Projects(t.Context()); err == nil {
		t.Error("Projects after Close succeeded")
	}
}
