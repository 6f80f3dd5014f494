package trackio

import (
	"cmp"
	"context"
	"slices"
)

// gatherAlerts lists the alerts of a project from the record streams of its
// runs, for backends that are no [AlertLister].
func gatherAlerts(ctx context.Context, b Backend, project string, opts AlertOptions) ([]Alert, error) {
	infos, err := collect(b.ListRuns(ctx, project, ListOptions{}))
	if err != nil {
		return nil, err
	}
	var alerts []Alert
	for _, info := range infos {
		if opts.RunID != "" && info.ID != opts.RunID {
			continue
		}
		for record, err := range b.ExportRun(ctx, info.RunRef, ExportOptions{Kinds: KindAlerts}) {
			if err != nil {
				return nil, err
			}
			batch, ok := record.(*Alerts)
			if !ok {
				continue
			}
			for _, row := range batch.Rows {
				if opts.Matches(row) {
					alerts = append(alerts, Alert{RunID: info.ID, RunName: info.Name, AlertRow: row})
				}
			}
		}
	}
	slices.Reverse(alerts)
	slices.SortStableFunc(alerts, func(x, y Alert) int { return cmp.Compare(y.Timestamp, x.Timestamp) })
	return alerts, nil
}

// Matches reports whether an alert is one that the options ask for. A timestamp
// that cannot be read counts as recent: an alert is rather shown than hidden.
func (o AlertOptions) Matches(row AlertRow) bool {
	if o.Level != "" && row.Level != o.Level {
		return false
	}
	if o.Since.IsZero() {
		return true
	}
	at, err := ParseTime(row.Timestamp)
	return err != nil || !at.Before(o.Since)
}
