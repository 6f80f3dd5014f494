package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func (a *app) listCommand() *cobra.Command {
	cmd := a.group("list", "List projects, runs, metrics, alerts and reports")
	cmd.AddCommand(
		a.listProjects(), a.listRuns(),
		a.listNames("metrics", "metrics", "metrics", func(s trackio.Summary) []string { return s.MetricNames }),
		a.listNames("system-metrics", "system_metrics", "system metrics", func(s trackio.Summary) []string { return s.SystemMetrics }),
		a.alertsCommand("list"), a.listReports(),
	)
	return cmd
}

func addJSONFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

func (a *app) listProjects() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "projects",
		Short:   "List all projects",
		Example: "  trackio list projects\n  trackio list projects --json",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			projects, err := trackio.New(b).Projects(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				o := a.json()
				o.field("projects", nonNil(projects))
				return o.end()
			}
			if len(projects) == 0 {
				a.say("", "No projects here yet; trackio backends shows where that is. Log some with Trackio, name another storage with --backend, or try: trackio demo")
			}
			for _, p := range projects {
				a.linef("%s", clean(p))
			}
			return nil
		}),
	}
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// runRecord is a run in JSON: list runs prints it beside the names that Python
// prints.
type runRecord struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	CreatedAt *string `json:"created_at"`
	LastStep  *int64  `json:"last_step"`
	UpdatedAt *string `json:"updated_at"`
}

func record(info trackio.RunInfo) runRecord {
	return runRecord{
		ID: info.ID, Name: info.Name, LastStep: info.LastStep,
		CreatedAt: stamp(info.CreatedAt), UpdatedAt: stamp(info.UpdatedAt),
	}
}

// stamp is a time as Python prints it; null when it is not known.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := trackio.FormatTime(t)
	return &text
}

func (a *app) listRuns() *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "runs",
		Short:   "List the runs of a project, the oldest first",
		Example: "  trackio list runs --project mnist\n  trackio list runs --project mnist --json",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			runs, err := a.runs(ctx, b, project, trackio.ListOptions{Latest: true})
			if err != nil {
				return err
			}
			if asJSON {
				return a.printRunsJSON(project, runs)
			}
			return a.printRuns(runs)
		}),
	}
	a.addProjectFlag(cmd, &project)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printRunsJSON(project string, runs *trackio.Runs) error {
	o := a.json()
	o.field("project", project)
	err := o.list("runs", func(add func(any) error) error {
		for run := range runs.All() {
			if err := add(run.Name()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = o.list("run_records", func(add func(any) error) error {
		for run := range runs.All() {
			if err := add(record(run.Info())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return o.end()
}

// printRuns prints the table of runs. Ids take much room and are only needed
// where a name does not tell which run is meant.
func (a *app) printRuns(runs *trackio.Runs) error {
	if runs.Len() == 0 {
		a.say("", "Project %q has no runs.", runs.Project())
		return nil
	}
	seen, repeated := map[string]bool{}, false
	for run := range runs.All() {
		repeated = repeated || seen[run.Name()] || run.Name() == ""
		seen[run.Name()] = true
	}
	header, right := []string{"NAME", "CREATED", "LAST STEP", "AGE"}, []int{2, 3}
	if repeated {
		header, right = []string{"NAME", "ID", "CREATED", "LAST STEP", "AGE"}, []int{3, 4}
	}
	t := a.table(0, right, header...)
	for run := range runs.All() {
		info := run.Info()
		cells := []string{clean(info.Name), a.env.showTime(info.CreatedAt), stepText(info.LastStep), a.env.age(info.CreatedAt)}
		if repeated {
			cells = append([]string{cells[0], clean(info.ID)}, cells[1:]...)
		}
		if err := t.row(cells...); err != nil {
			return err
		}
	}
	return t.end()
}

func stepText(step *int64) string {
	if step == nil {
		return "-"
	}
	return strconv.FormatInt(*step, 10)
}

// listNames is the command that lists metric names or system metric names.
func (a *app) listNames(use, jsonName, thing string, pick func(trackio.Summary) []string) *cobra.Command {
	var f runFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     use,
		Short:   "List the names of the " + thing + " of a run",
		Example: "  trackio list " + use + " --project mnist --run first",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			run, err := a.run(ctx, b, f)
			if err != nil {
				return err
			}
			s, err := summarize(ctx, b, run)
			if err != nil {
				return err
			}
			names := pick(s)
			if asJSON {
				o := a.json()
				o.field("project", f.project)
				o.field("run", run.Name())
				o.field(jsonName, nonNil(names))
				return o.end()
			}
			if len(names) == 0 {
				a.say("", "Run %q of project %q has no %s.", run.Name(), run.Project(), thing)
			}
			for _, name := range names {
				a.linef("%s", clean(name))
			}
			return nil
		}),
	}
	a.addRunFlags(cmd, &f, true)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// nonNil makes an empty list [] in JSON, not null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
