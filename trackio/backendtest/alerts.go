package backendtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func alertChecks() []Check {
	return []Check{
		{"alerts/list", "ListAlerts yields the alerts of a project, the newest first: by timestamp as text, descending, then, within a run, the latest written first.", alertsList},
		{"alerts/unknown-project", "An unknown project is [ErrNotFound].", alertsUnknownProject},
	}
}

func alertsList(ctx context.Context, e *Env) error {
	lister, err := capability[trackio.AlertLister](e)
	if err != nil {
		return err
	}
	project := e.Project()
	levels := []string{"info", "warn", "error"}
	var all []trackio.Alert
	var ids []string
	for n := range 3 {
		key := e.Key()
		r := small(key, "one name")
		r.metrics[0].Timestamp = stamp(n)
		for i := range 12 {
			// Pairs of one run share a stamp; no two runs do.
			row := trackio.AlertRow{
				Timestamp: stamp(100 + 3*(i/2) + n), Title: fmt.Sprintf("%d of run %d", (i*5)%12, n),
				Level: levels[i%3], AlertID: fmt.Sprintf("%s-%d", key, (i*5)%12),
			}
			if i%4 == 0 {
				row.Text, row.Step = new("text"), new(int64(i))
			}
			r.alerts = append(r.alerts, row)
			all = append(all, trackio.Alert{RunID: key, RunName: r.name, AlertRow: row})
		}
		ids = append(ids, key)
		if _, err := put(ctx, e.Backend, trackio.RunRef{Project: project, ID: key}, r); err != nil {
			return err
		}
	}
	elsewhere := full(e.Key(), "one name")
	if _, err := put(ctx, e.Backend, trackio.RunRef{Project: e.Project(), ID: ids[0]}, elsewhere); err != nil {
		return err
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(x, y trackio.Alert) int { return cmp.Compare(y.Timestamp, x.Timestamp) })

	for _, opts := range []trackio.AlertOptions{
		{}, {RunID: ids[1]}, {RunID: "no such run"}, {Level: "warn"}, {Level: "no such level"},
		{Since: epoch.Add(106 * time.Second)}, {Since: epoch.Add(106 * time.Second).In(time.FixedZone("", -8*3600))},
		{Since: epoch.Add(105*time.Second + time.Millisecond)}, {Since: epoch.Add(time.Hour)},
		{RunID: ids[2], Level: "error", Since: epoch.Add(104 * time.Second)},
	} {
		var want []trackio.Alert
		for _, alert := range all {
			at, err := trackio.ParseTime(alert.Timestamp)
			if err != nil {
				return err
			}
			if (opts.RunID == "" || opts.RunID == alert.RunID) && (opts.Level == "" || opts.Level == alert.Level) && !at.Before(opts.Since) {
				want = append(want, alert)
			}
		}
		got, err := collect(lister.ListAlerts(ctx, project, opts))
		if err != nil {
			return fmt.Errorf("ListAlerts with %+v: %w", opts, err)
		}
		for i := range min(len(want), len(got)) {
			if got[i].RunID != want[i].RunID || got[i].RunName != want[i].RunName {
				return fmt.Errorf("ListAlerts with %+v: alert %d is of run %q (%q), want of %q (%q)", opts, i, got[i].RunID, got[i].RunName, want[i].RunID, want[i].RunName)
			}
			if err := diffRows("alerts", []trackio.AlertRow{want[i].AlertRow}, []trackio.AlertRow{got[i].AlertRow}); err != nil {
				return fmt.Errorf("ListAlerts with %+v: alert %d of the list: %w", opts, i, err)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("ListAlerts with %+v yields %d alerts, want %d", opts, len(got), len(want))
		}
	}
	return nil
}

func alertsUnknownProject(ctx context.Context, e *Env) error {
	lister, err := capability[trackio.AlertLister](e)
	if err != nil {
		return err
	}
	project := e.Project()
	got, err := collect(lister.ListAlerts(ctx, project, trackio.AlertOptions{}))
	if err := wantKind("ListAlerts of an unknown project", err, trackio.ErrNotFound); err != nil {
		return err
	}
	if len(got) > 0 {
		return fmt.Errorf("ListAlerts of an unknown project yields %d alerts", len(got))
	}
	return noProject(ctx, e.Backend, project)
}
