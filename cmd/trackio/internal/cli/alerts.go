package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

var alertLevels = []string{"info", "warn", "error"}

// alertFlags are the flags of "list alerts" and "get alerts", which are one
// command as in Python.
type alertFlags struct {
	runFlags
	level, since string
	json         bool
}

// alertJSON is an alert in JSON, with the fields of Python's command line.
type alertJSON struct {
	Timestamp string  `json:"timestamp"`
	Run       string  `json:"run"`
	Title     string  `json:"title"`
	Text      *string `json:"text"`
	Level     string  `json:"level"`
	Step      *int64  `json:"step"`
}

func (a *app) alertsCommand(verb string) *cobra.Command {
	var f alertFlags
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Show the alerts of a project or a run, the newest first",
		Example: "  trackio " + verb + " alerts --project mnist\n" +
			"  trackio " + verb + " alerts --project mnist --run first --level error --since 2026-01-31T12:00:00+00:00",
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error {
			return a.showAlerts(ctx, b, f)
		}),
	}
	a.addRunFlags(cmd, &f.runFlags, false)
	cmd.Flags().StringVar(&f.level, "level", "", "only this `level`: info, warn or error")
	cmd.Flags().StringVar(&f.since, "since", "", "only alerts after this ISO 8601 `time`, UTC if it has no offset")
	a.complete(cmd, "level", func(*cobra.Command, string) []string { return alertLevels })
	addJSONFlag(cmd, &f.json)
	return cmd
}

func (a *app) showAlerts(ctx context.Context, b trackio.Backend, f alertFlags) error {
	opts := trackio.AlertOptions{Level: f.level}
	if f.level != "" && !slices.Contains(alertLevels, f.level) {
		return trackio.Errorf(trackio.ErrInvalid, "there is no alert level %q", f.level).WithHint("levels are info, warn and error")
	}
	if f.since != "" {
		var err error
		if opts.Since, err = trackio.ParseTime(f.since); err != nil {
			return err
		}
	}
	var runName *string
	if f.given() {
		run, err := a.run(ctx, b, f.runFlags)
		if err != nil {
			return err
		}
		name := run.Name()
		opts.RunID, runName = run.ID(), &name
	} else if _, err := a.runs(ctx, b, f.project, trackio.ListOptions{}); err != nil {
		return err
	}
	alerts, err := trackio.New(b).Alerts(ctx, f.project, opts)
	if err != nil {
		return err
	}
	// The core includes the very moment, Python's command line does not: who
	// asks again with the last stamp he saw gets what is new.
	alerts = slices.DeleteFunc(alerts, func(alert trackio.Alert) bool { return atOrBefore(alert.Timestamp, opts.Since) })
	if f.json {
		return a.printAlertsJSON(f, runName, alerts)
	}
	return a.printAlerts(f, alerts)
}

func atOrBefore(text string, since time.Time) bool {
	t, err := trackio.ParseTime(text)
	return err == nil && !since.IsZero() && !t.After(since)
}

func (a *app) printAlertsJSON(f alertFlags, runName *string, alerts []trackio.Alert) error {
	o := a.json()
	o.field("project", f.project)
	o.field("run", runName)
	o.field("level", nullable(f.level))
	o.field("since", nullable(f.since))
	err := o.list("alerts", func(add func(any) error) error {
		for _, al := range alerts {
			if err := add(alertJSON{al.Timestamp, al.RunName, al.Title, al.Text, al.Level, al.Step}); err != nil {
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

func (a *app) printAlerts(f alertFlags, alerts []trackio.Alert) error {
	if len(alerts) == 0 {
		a.say("", "No such alerts in project %q.", trackio.CanonicalProject(f.project))
		return nil
	}
	t := a.table(5, []int{3}, "TIME", "LEVEL", "RUN", "STEP", "TITLE", "TEXT")
	for _, al := range alerts {
		text := ""
		if al.Text != nil {
			text = clean(*al.Text)
		}
		if err := t.row(a.env.showStamp(al.Timestamp), clean(al.Level), clean(al.RunName), stepText(al.Step), clean(al.Title), text); err != nil {
			return err
		}
	}
	return t.end()
}

// nullable makes an empty text null in JSON.
func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
