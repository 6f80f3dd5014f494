package backendtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

func listChecks() []Check {
	return []Check{
		{"list/empty", "An empty or missing storage has none, which is no error.", listEmpty},
		{"list/projects", "ListProjects yields the canonical names of all projects in byte order, each once.", listProjects},
		{"list/oldest-first", "ListRuns yields the runs of a project, the oldest first: by CreatedAt, then by id.", listOldestFirst},
		{"list/created-at", "CreatedAt is the earliest timestamp of the run's metrics; when it has none, of its other rows; when it has no rows, the config's created_at; the zero time when that is not known either. The stored offset is kept.", listCreatedAt},
		{"list/options", "Filled by GetRun, and in lists when ListOptions.Config was set.", listOptions},
		{"list/latest", "LastStep is the highest step of the metrics, nil when there are none, and UpdatedAt the latest timestamp of any row, the zero time when there are none.", listLatest},
		{"list/partial-runs", "A run is whole or absent wherever one looks.", listPartialRuns},
		{"list/run-of-nothing", "A failed or cancelled call has changed nothing, or has happened completely.", listRunOfNothing},
		{"get/filled", "GetRun returns one run, with its Revision, Config and Latest fields filled.", getFilled},
	}
}

func listEmpty(ctx context.Context, e *Env) error {
	projects, err := collect(e.Backend.ListProjects(ctx))
	if err != nil {
		return fmt.Errorf("ListProjects: %w", err)
	}
	if e.Fresh && len(projects) > 0 {
		return fmt.Errorf("ListProjects on an empty storage yields %q", projects)
	}
	return noProject(ctx, e.Backend, e.Project())
}

func listProjects(ctx context.Context, e *Env) error {
	want := []string{e.NamedProject("b_"), e.NamedProject("a-"), e.NamedProject("a_"), e.NamedProject("9"), e.NamedProject("é")}
	for _, project := range want {
		for range 2 {
			if _, err := put(ctx, e.Backend, trackio.RunRef{Project: project, ID: e.Key()}, small(e.Key(), "r")); err != nil {
				return err
			}
		}
	}
	got, err := collect(e.Backend.ListProjects(ctx))
	if err != nil {
		return fmt.Errorf("ListProjects: %w", err)
	}
	if !slices.IsSorted(got) {
		return fmt.Errorf("ListProjects yields %q, want byte order", got)
	}
	if len(slices.Compact(slices.Clone(got))) != len(got) {
		return fmt.Errorf("ListProjects yields %q, want each once", got)
	}
	for _, project := range want {
		if !slices.Contains(got, project) {
			return fmt.Errorf("ListProjects yields %q, want %q among them", got, project)
		}
	}
	if e.Fresh && len(got) != len(want) {
		return fmt.Errorf("ListProjects yields %q, want the %d projects that were created", got, len(want))
	}
	return nil
}

func listOldestFirst(ctx context.Context, e *Env) error {
	project := e.Project()
	at := func(seconds int) run {
		r := small(e.Key(), "the same name")
		r.metrics[0].Timestamp = stamp(seconds)
		return r
	}
	undated := run{name: "undated", config: &trackio.Config{JSON: json.RawMessage(`{}`)}}
	want := []string{"undated", "z", "b", "c", "d", "a"}
	for _, item := range []struct {
		id string
		r  run
	}{{"c", at(20)}, {"a", at(30)}, {"d", at(20)}, {"z", at(10)}, {"undated", undated}, {"b", at(20)}} {
		if _, err := put(ctx, e.Backend, trackio.RunRef{Project: project, ID: item.id}, item.r); err != nil {
			return err
		}
	}
	infos, err := listRuns(ctx, e.Backend, project, trackio.ListOptions{})
	if err != nil {
		return fmt.Errorf("ListRuns: %w", err)
	}
	var got []string
	for _, info := range infos {
		got = append(got, info.ID)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("ListRuns yields the ids %q, want %q (created at none, 10, 20, 20, 20, 30 s)", got, want)
	}
	return nil
}

// dated returns runs that have only one or two kinds of rows, and one with only
// a config.
func dated(e *Env) map[string]run {
	config := &trackio.Config{JSON: json.RawMessage(`{"a":1}`), CreatedAt: stamp(0)}
	alerts := []trackio.AlertRow{{Timestamp: stamp(5), Title: "t", Level: "info", AlertID: e.Key()}}
	system := []trackio.SystemMetricsRow{{Timestamp: stamp(4), Metrics: json.RawMessage(`{"gpu":1}`), LogID: e.Key()}}
	traces := []trackio.TraceRow{{ID: e.Key(), Timestamp: stamp(6), Key: "k", Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`)}}
	late := small(e.Key(), "metrics later than the rest")
	late.metrics[0].Timestamp = "2026-01-02T00:30:00.250000+05:30"
	late.config, late.alerts = config, []trackio.AlertRow{{Timestamp: stamp(1), Title: "early", Level: "warn"}}
	zulu := small(e.Key(), "naive stamp")
	zulu.metrics[0].Timestamp = "2026-01-01T12:00:00"
	return map[string]run{
		"metrics": late,
		"naive":   zulu,
		"alerts":  {name: "only alerts", alerts: alerts},
		"system":  {name: "only system metrics", system: system},
		"traces":  {name: "only traces", traces: traces},
		"config":  {name: "only a config", config: config},
		"undated": {name: "only an undated config", config: &trackio.Config{JSON: json.RawMessage(`{}`)}},
	}
}

func listCreatedAt(ctx context.Context, e *Env) error {
	project := e.Project()
	for id, r := range dated(e) {
		ref := trackio.RunRef{Project: project, ID: id}
		info, err := put(ctx, e.Backend, ref, r)
		if err != nil {
			return err
		}
		inList, err := listed(ctx, e.Backend, ref, trackio.ListOptions{})
		if err != nil {
			return err
		}
		if inList == nil {
			return fmt.Errorf("run %q (%s) is not listed", id, r.name)
		}
		got, err := e.Backend.GetRun(ctx, ref)
		if err != nil {
			return fmt.Errorf("GetRun(%s): %w", at(ref), err)
		}
		_, header, err := export(ctx, e.Backend, ref, trackio.ExportOptions{})
		if err != nil {
			return err
		}
		err = errors.Join(
			sameTime("CreatedAt of ImportRun", r.createdAt(), info.CreatedAt),
			sameTime("CreatedAt of ListRuns", r.createdAt(), inList.CreatedAt),
			sameTime("CreatedAt of GetRun", r.createdAt(), got.CreatedAt),
			sameTime("CreatedAt of the Header", r.createdAt(), header.CreatedAt),
		)
		if err != nil {
			return fmt.Errorf("run %q (%s): %w", id, r.name, err)
		}
	}
	return nil
}

func listOptions(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := full(e.Key(), "options")
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	counts := trackio.Counts{
		Metrics: int64(len(want.metrics)), SystemMetrics: int64(len(want.system)),
		Alerts: int64(len(want.alerts)), Traces: int64(len(want.traces)),
	}
	for _, opts := range []trackio.ListOptions{{}, {Config: true}, {Latest: true}, {Counts: true}, {Config: true, Latest: true, Counts: true}} {
		info, err := listed(ctx, e.Backend, ref, opts)
		switch {
		case err != nil:
			return err
		case info == nil:
			return fmt.Errorf("ListRuns with %+v does not list the run", opts)
		case info.Revision != "":
			return fmt.Errorf("ListRuns with %+v fills Revision with %q, want it empty in lists", opts, info.Revision)
		case opts.Config && !same(want.config.JSON, info.Config):
			return fmt.Errorf("ListRuns with %+v: Config is %s, want %s", opts, show(info.Config), show(want.config.JSON))
		case opts.Counts && (info.Counts == nil || *info.Counts != counts):
			return fmt.Errorf("ListRuns with %+v: Counts are %+v, want %+v", opts, info.Counts, counts)
		}
		if opts.Latest {
			if err := latest(want, *info); err != nil {
				return fmt.Errorf("ListRuns with %+v: %w", opts, err)
			}
		}
	}
	return nil
}

// latest checks the Latest fields of a run made by [full], or of one without
// rows.
func latest(r run, info trackio.RunInfo) error {
	var step *int64
	var stamps []string
	for _, row := range r.metrics {
		if step == nil || row.Step > *step {
			step = &row.Step
		}
		stamps = append(stamps, row.Timestamp)
	}
	for _, row := range r.system {
		stamps = append(stamps, row.Timestamp)
	}
	for _, row := range r.alerts {
		stamps = append(stamps, row.Timestamp)
	}
	for _, row := range r.traces {
		stamps = append(stamps, row.Timestamp)
	}
	if err := sameStep("LastStep", step, info.LastStep); err != nil {
		return err
	}
	if len(stamps) == 0 {
		if !info.UpdatedAt.IsZero() {
			return fmt.Errorf("UpdatedAt is %q, want the zero time", trackio.FormatTime(info.UpdatedAt))
		}
		return nil
	}
	want, err := trackio.ParseTime(slices.Max(stamps))
	if err != nil {
		return err
	}
	if !want.Equal(info.UpdatedAt) {
		return fmt.Errorf("UpdatedAt is %q, want %q", trackio.FormatTime(info.UpdatedAt), trackio.FormatTime(want))
	}
	return nil
}

func listLatest(ctx context.Context, e *Env) error {
	project := e.Project()
	runs := dated(e)
	falling := small(e.Key(), "falling steps")
	for i, step := range []int64{-3, 9007199254740993, 4, 0} {
		row := metricsRow(e.Key(), i, `{}`)
		row.Step = step
		falling.metrics = append(falling.metrics, row)
	}
	falling.metrics = falling.metrics[1:]
	runs["falling"] = falling
	below := small(e.Key(), "negative step")
	below.metrics[0].Step = -7
	runs["below"] = below
	for id, r := range runs {
		ref := trackio.RunRef{Project: project, ID: id}
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		info, err := listed(ctx, e.Backend, ref, trackio.ListOptions{Latest: true})
		if err != nil {
			return err
		}
		if info == nil {
			return fmt.Errorf("run %q (%s) is not listed", id, r.name)
		}
		if err := latest(r, *info); err != nil {
			return fmt.Errorf("ListRuns, run %q (%s): %w", id, r.name, err)
		}
		got, err := e.Backend.GetRun(ctx, ref)
		if err != nil {
			return fmt.Errorf("GetRun(%s): %w", at(ref), err)
		}
		if err := latest(r, got); err != nil {
			return fmt.Errorf("GetRun, run %q (%s): %w", id, r.name, err)
		}
	}
	return nil
}

func listPartialRuns(ctx context.Context, e *Env) error {
	project := e.Project()
	for id, r := range dated(e) {
		ref := trackio.RunRef{Project: project, ID: id}
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		if err := holds(ctx, e.Backend, ref, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
			return fmt.Errorf("DeleteRun(%s) (%s): %w", at(ref), r.name, err)
		}
		if err := absent(ctx, e.Backend, ref); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// listRunOfNothing lets a storage that has no place for a run without config and
// rows say so, but not lose it.
func listRunOfNothing(ctx context.Context, e *Env) error {
	ref, nothing := e.ref(), run{name: "nothing in it"}
	_, err := e.Backend.ImportRun(ctx, ref, nothing.records())
	if errors.Is(err, errors.ErrUnsupported) {
		return noProject(ctx, e.Backend, ref.Project)
	}
	if err != nil {
		return fmt.Errorf("ImportRun of a header alone: %w (want success, or errors.ErrUnsupported)", err)
	}
	if err := holds(ctx, e.Backend, ref, nothing); err != nil {
		return err
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	return absent(ctx, e.Backend, ref)
}

func getFilled(ctx context.Context, e *Env) error {
	with, without := e.ref(), e.ref()
	want := full(e.Key(), "with")
	if _, err := put(ctx, e.Backend, with, want); err != nil {
		return err
	}
	if _, err := put(ctx, e.Backend, without, small(e.Key(), "without")); err != nil {
		return err
	}
	info, err := e.Backend.GetRun(ctx, with)
	switch {
	case err != nil:
		return fmt.Errorf("GetRun(%s): %w", at(with), err)
	case info.Revision == "":
		return errors.New("GetRun leaves Revision empty")
	case !same(want.config.JSON, info.Config):
		return fmt.Errorf("GetRun: Config is %s, want %s", show(info.Config), show(want.config.JSON))
	}
	if err := latest(want, info); err != nil {
		return fmt.Errorf("GetRun: %w", err)
	}
	info, err = e.Backend.GetRun(ctx, without)
	if err != nil {
		return fmt.Errorf("GetRun(%s): %w", at(without), err)
	}
	if info.Config != nil {
		return fmt.Errorf("GetRun of a run without a config: Config is %q, want nil", info.Config)
	}
	return nil
}
