package cli

import (
	"bytes"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// reportJSON is one entry of a report: a Markdown text that was logged as a
// metric.
type reportJSON struct {
	Run       string `json:"run"`
	Report    string `json:"report"`
	Step      int64  `json:"step"`
	Timestamp string `json:"timestamp"`
	Content   string `json:"content"`
}

const markdownType = "trackio.markdown"

// eachReport calls f for every report entry of a run, oldest first; name ""
// means all reports.
func eachReport(ctx context.Context, run *trackio.Run, name string, f func(reportJSON) error) error {
	for row, err := range metricsRows(ctx, run, trackio.ExportOptions{}) {
		if err != nil {
			return err
		}
		if !mayHold(row.Metrics, []byte(markdownType)) {
			continue
		}
		fields, err := members(row.Metrics)
		if err != nil {
			return err
		}
		for _, m := range fields {
			content, ok := markdown(m)
			if !ok || name != "" && m.key != name {
				continue
			}
			if err := f(reportJSON{run.Name(), m.key, row.Step, row.Timestamp, content}); err != nil {
				return err
			}
		}
	}
	return nil
}

// markdown returns the text of a Markdown value.
func markdown(m member) (string, bool) {
	if !bytes.HasPrefix(m.value, []byte("{")) {
		return "", false
	}
	fields := split(m.value)
	if field(fields, "_type") != markdownType {
		return "", false
	}
	for _, inner := range fields {
		if inner.key == "_value" {
			return inner.text()
		}
	}
	return "", false
}

func (a *app) listReports() *cobra.Command {
	var f runFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "reports",
		Short:   "List the Markdown reports of a project or a run",
		Example: "  trackio list reports --project mnist\n  trackio list reports --project mnist --run first --json",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			runs, runName, err := a.runOrAll(ctx, b, f)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printReportsJSON(ctx, f.project, runName, runs)
			}
			return a.printReports(ctx, runs)
		}),
	}
	a.addRunFlags(cmd, &f, false)
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// runOrAll returns the named run with its name, or all runs of the project.
func (a *app) runOrAll(ctx context.Context, b trackio.Backend, f runFlags) ([]*trackio.Run, *string, error) {
	if f.given() {
		run, err := a.run(ctx, b, f)
		if err != nil {
			return nil, nil, err
		}
		name := run.Name()
		return []*trackio.Run{run}, &name, nil
	}
	runs, err := a.runs(ctx, b, f.project, trackio.ListOptions{})
	if err != nil {
		return nil, nil, err
	}
	var all []*trackio.Run
	for run := range runs.All() {
		all = append(all, run)
	}
	return all, nil, nil
}

func (a *app) printReportsJSON(ctx context.Context, project string, runName *string, runs []*trackio.Run) error {
	o := a.json()
	o.field("project", project)
	o.field("run", runName)
	err := o.list("reports", func(add func(any) error) error {
		for _, run := range runs {
			if err := eachReport(ctx, run, "", func(r reportJSON) error { return add(r) }); err != nil {
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

func (a *app) printReports(ctx context.Context, runs []*trackio.Run) error {
	t, found := a.table(3, []int{2}, "RUN", "REPORT", "STEP", "BEGINS", "TIME"), false
	for _, run := range runs {
		err := eachReport(ctx, run, "", func(r reportJSON) error {
			found = true
			first, _, _ := strings.Cut(strings.TrimSpace(r.Content), "\n")
			return t.row(clean(r.Run), clean(r.Report), stepText(&r.Step), clip(clean(first), 40), a.env.showStamp(r.Timestamp))
		})
		if err != nil {
			return err
		}
	}
	if !found {
		a.say("", "No reports here. Trackio logs one with trackio.log({\"name\": trackio.Markdown(...)}).")
		return nil
	}
	return t.end()
}

func (a *app) getReport() *cobra.Command {
	var f runFlags
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "report",
		Short:   "Show the entries of a Markdown report",
		Example: "  trackio get report --project mnist --run first --report summary",
		Args:    noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			run, err := a.run(ctx, b, f)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printReportJSON(ctx, f.project, run, name)
			}
			return a.printReport(ctx, run, name)
		}),
	}
	a.addRunFlags(cmd, &f, true)
	cmd.Flags().StringVar(&name, "report", "", "`name` of the report")
	_ = cmd.MarkFlagRequired("report")
	addJSONFlag(cmd, &asJSON)
	return cmd
}

func noReport(run *trackio.Run, name string) error {
	return trackio.Errorf(trackio.ErrNotFound, "report %q not found in run %q of project %q", name, run.Name(), run.Project()).
		WithHint("trackio list reports --project %s --run-id %s shows them", shellWord(run.Project()), shellWord(run.ID()))
}

func (a *app) printReportJSON(ctx context.Context, project string, run *trackio.Run, name string) error {
	o, found := a.json(), false
	o.field("project", project)
	o.field("run", run.Name())
	o.field("report", name)
	err := o.list("values", func(add func(any) error) error {
		return eachReport(ctx, run, name, func(r reportJSON) error { found = true; return add(r) })
	})
	switch {
	case err != nil:
		return err
	case !found:
		return noReport(run, name)
	}
	return o.end()
}

func (a *app) printReport(ctx context.Context, run *trackio.Run, name string) error {
	n := 0
	err := eachReport(ctx, run, name, func(r reportJSON) error {
		if n++; n > 1 {
			a.linef("")
		}
		a.linef("%s", a.paint().dim("step "+stepText(&r.Step)+", "+a.env.showStamp(r.Timestamp)))
		a.linef("%s", strings.TrimRight(cleanText(r.Content), "\n"))
		return nil
	})
	if err == nil && n == 0 {
		return noReport(run, name)
	}
	return err
}
