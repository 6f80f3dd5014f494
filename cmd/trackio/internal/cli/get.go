package cli

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func (a *app) getCommand() *cobra.Command {
	cmd := a.group("get", "Show a project, a run, metric values, alerts or a report")
	cmd.AddCommand(a.getProject(), a.getRun(), a.getMetric(), a.getSnapshot(), a.getSystemMetric(), a.alertsCommand("get"), a.getReport())
	return cmd
}

// projectRun is a run in the JSON of "get project", as Python prints it.
type projectRun struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	CreatedAt *string `json:"created_at"`
}

func (a *app) getProject() *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "project",
		Short:   "Show the summary of a project",
		Example: "  trackio get project --project mnist",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			runs, err := a.runs(ctx, b, project, trackio.ListOptions{Latest: true})
			if err != nil {
				return err
			}
			records := make([]projectRun, 0, runs.Len())
			var last *int64 // Python calls the highest step of any run the last activity
			for run := range runs.All() {
				info := run.Info()
				records = append(records, projectRun{info.ID, info.Name, stamp(info.CreatedAt)})
				if info.LastStep != nil && (last == nil || *info.LastStep > *last) {
					last = info.LastStep
				}
			}
			if asJSON {
				o := a.json()
				o.field("project", project)
				o.field("num_runs", runs.Len())
				o.field("runs", records)
				o.field("last_activity", last)
				return o.end()
			}
			a.facts("", [][2]string{
				{"Project", clean(runs.Project())}, {"Runs", strconv.Itoa(runs.Len())}, {"Last step", stepText(last)},
			})
			if runs.Len() == 0 {
				return nil
			}
			a.linef("")
			return a.printRuns(runs)
		}),
	}
	a.addProjectFlag(cmd, &project)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) getRun() *cobra.Command {
	var f runFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Show the summary and the configuration of a run",
		Example: "  trackio get run --project mnist --run first\n  trackio get run --project mnist --run first --json",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			found, err := a.run(ctx, b, f)
			if err != nil {
				return err
			}
			run, err := trackio.New(b).Run(ctx, found.Project(), found.ID())
			if err != nil {
				return err
			}
			s, err := summarize(ctx, b, run)
			if err != nil {
				return err
			}
			config, err := run.RawConfig(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				o := a.json()
				o.field("project", f.project)
				o.field("run", run.Name())
				o.field("run_id", run.ID())
				o.field("num_logs", s.Metrics)
				o.field("metrics", nonNil(s.MetricNames))
				o.field("config", config)
				o.field("last_step", s.LastStep)
				return o.end()
			}
			return a.printRun(run, s, config)
		}),
	}
	a.addRunFlags(cmd, &f, true)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printRun(run *trackio.Run, s trackio.Summary, config json.RawMessage) error {
	info := run.Info()
	facts := [][2]string{
		{"Run", clean(info.Name)},
		{"ID", clean(info.ID)},
		{"Project", clean(info.Project)},
		{"Created", a.env.showTime(info.CreatedAt) + " (" + a.env.age(info.CreatedAt) + " ago)"},
		{"Updated", a.env.showTime(info.UpdatedAt)},
		{"Last step", stepText(s.LastStep)},
		{"Rows", rowsText(s.Counts)},
	}
	if s.Pending > 0 {
		facts = append(facts, [2]string{"Not imported", plural(s.Pending, "row") + " wait in the inbox"})
	}
	if len(s.MetricNames) > 0 {
		facts = append(facts, [2]string{"Metrics", clean(strings.Join(s.MetricNames, ", "))})
	}
	if len(s.SystemMetrics) > 0 {
		facts = append(facts, [2]string{"System", clean(strings.Join(s.SystemMetrics, ", "))})
	}
	if info.CreatedAt.IsZero() {
		facts[3][1] = "-"
	}
	a.facts("", facts)
	if config == nil {
		return nil
	}
	fields, err := members(config)
	if err != nil {
		return err
	}
	if len(fields) == 0 {
		return nil
	}
	a.linef("\n%s", a.paint().bold("Config"))
	facts = nil
	for _, m := range fields {
		facts = append(facts, [2]string{clean(m.key), showValue(m.value)})
	}
	a.facts("  ", facts)
	return nil
}

func rowsText(c trackio.Counts) string {
	var parts []string
	for _, part := range []struct {
		n    int64
		what string
	}{{c.Metrics, "metric"}, {c.SystemMetrics, "system metric"}, {c.Alerts, "alert"}, {c.Traces, "trace"}} {
		if part.n > 0 {
			parts = append(parts, plural(part.n, part.what+" row"))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// facts prints names and values in two columns. A long value is continued under
// itself, on a terminal.
func (a *app) facts(indent string, facts [][2]string) {
	widest := 0
	for _, f := range facts {
		widest = max(widest, runewidth.StringWidth(f[0]))
	}
	for _, f := range facts {
		pad := strings.Repeat(" ", widest-runewidth.StringWidth(f[0]))
		left := indent + a.paint().bold(f[0]) + pad + "  "
		value := f[1]
		if room := a.env.Width - len(indent) - widest - 2; a.env.Width > 0 && room >= 20 {
			value = strings.ReplaceAll(runewidth.Wrap(value, room), "\n", "\n"+strings.Repeat(" ", len(indent)+widest+2))
		}
		a.linef("%s%s", left, value)
	}
}

// systemValue is one row of system metrics as Python prints it: its fields and
// then its timestamp.
func systemValue(row trackio.SystemMetricsRow, only string, run *trackio.Run) (json.RawMessage, bool, error) {
	fields, err := members(row.Metrics)
	if err != nil {
		return nil, false, err
	}
	var kept []member
	found := only == ""
	for _, m := range fields {
		if m.key == "timestamp" || only != "" && m.key != only {
			continue
		}
		found = true
		kept = append(kept, member{m.key, localize(m.value, run.Project(), run.Name())})
	}
	return joinObject(append(kept, member{"timestamp", mustJSON(row.Timestamp)})), found, nil
}

func (a *app) getSystemMetric() *cobra.Command {
	var f runFlags
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "system-metric",
		Short:   "Show the values of one system metric, or of all",
		Example: "  trackio get system-metric --project mnist --run first\n  trackio get system-metric --project mnist --run first --metric cpu --json",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			run, err := a.run(ctx, b, f)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printSystemJSON(ctx, f.project, run, name)
			}
			return a.printSystem(ctx, run, name)
		}),
	}
	a.addRunFlags(cmd, &f, true)
	cmd.Flags().StringVar(&name, "metric", "", "`name` of the system metric; all when not given")
	a.complete(cmd, "metric", a.completeSystemMetrics)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func noSystemMetric(run *trackio.Run, name string) error {
	return trackio.Errorf(trackio.ErrNotFound, "system metric %q not found in run %q of project %q", name, run.Name(), run.Project()).
		WithHint("trackio list system-metrics --project %s --run-id %s shows them", shellWord(run.Project()), shellWord(run.ID()))
}

func (a *app) printSystemJSON(ctx context.Context, project string, run *trackio.Run, name string) error {
	o, found := a.json(), false
	o.field("project", project)
	o.field("run", run.Name())
	list := "system_metrics"
	if name != "" {
		o.field("metric", name)
		list = "values"
	}
	err := o.list(list, func(add func(any) error) error {
		for row, err := range systemRows(ctx, run) {
			if err != nil {
				return err
			}
			value, has, err := systemValue(row, name, run)
			if err != nil {
				return err
			}
			if !has {
				continue
			}
			found = true
			if err := add(value); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case name != "" && !found:
		return noSystemMetric(run, name)
	}
	return o.end()
}

func (a *app) printSystem(ctx context.Context, run *trackio.Run, name string) error {
	t, found := a.table(2, nil, "TIME", "METRIC", "VALUE"), false
	for row, err := range systemRows(ctx, run) {
		if err != nil {
			return err
		}
		fields, err := members(row.Metrics)
		if err != nil {
			return err
		}
		for _, m := range fields {
			if m.key == "timestamp" || name != "" && m.key != name {
				continue
			}
			found = true
			if err := t.row(a.env.showStamp(row.Timestamp), clean(m.key), showValue(m.value)); err != nil {
				return err
			}
		}
	}
	switch {
	case name != "" && !found:
		return noSystemMetric(run, name)
	case !found:
		a.say("", "Run %q of project %q has no system metrics.", run.Name(), run.Project())
		return nil
	}
	return t.end()
}
