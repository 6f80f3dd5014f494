package backendtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// readAll reads what a listing yields.
func readAll[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for item, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

// relisted is a listing whose items change returns.
func relisted[T any](seq iter.Seq2[T, error], change func([]T) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		items, err := readAll(seq)
		for _, item := range change(items) {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

func onList(change func([]trackio.RunInfo) []trackio.RunInfo) func(*faulty) {
	return func(f *faulty) {
		f.listRuns = func(ctx context.Context, project string, opts trackio.ListOptions) infos {
			return relisted(f.Backend.ListRuns(ctx, project, opts), change)
		}
	}
}

func listFaults() []fault {
	return []fault{
		{"an empty storage is an error", func(f *faulty) {
			f.listProjects = func(context.Context) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) { yield("", trackio.Errorf(trackio.ErrNotFound, "no storage")) }
			}
		}, map[string]string{"list/empty": "ListProjects: no storage"}},
		{"projects in another order", func(f *faulty) {
			f.listProjects = func(ctx context.Context) iter.Seq2[string, error] {
				return relisted(f.Backend.ListProjects(ctx), func(p []string) []string { slices.Reverse(p); return p })
			}
		}, map[string]string{"list/projects": "want byte order"}},
		{"runs the newest first", onList(func(runs []trackio.RunInfo) []trackio.RunInfo { slices.Reverse(runs); return runs }),
			map[string]string{"list/oldest-first": "ListRuns yields the ids"}},
		{"created at the last row", func(f *faulty) {
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				info, err := f.Backend.GetRun(ctx, ref)
				info.CreatedAt = info.CreatedAt.UTC()
				return info, err
			}
		}, map[string]string{"list/created-at": "CreatedAt of GetRun is"}},
		{"no counts", onList(func(runs []trackio.RunInfo) []trackio.RunInfo {
			for i := range runs {
				runs[i].Counts = nil
			}
			return runs
		}), map[string]string{"list/options": "Counts are"}},
		{"never a negative step", onList(func(runs []trackio.RunInfo) []trackio.RunInfo {
			for i := range runs {
				if step := runs[i].LastStep; step != nil && *step < 0 {
					runs[i].LastStep = new(int64(0))
				}
			}
			return runs
		}), map[string]string{"list/latest": "LastStep is 0, want -7"}},
		{"lists only runs with metrics", func(f *faulty) {
			f.listRuns = func(ctx context.Context, project string, opts trackio.ListOptions) infos {
				opts.Counts = true
				return relisted(f.Backend.ListRuns(ctx, project, opts), func(runs []trackio.RunInfo) []trackio.RunInfo {
					return slices.DeleteFunc(runs, func(info trackio.RunInfo) bool { return info.Counts.Metrics == 0 })
				})
			}
		}, map[string]string{"list/partial-runs": "does not list the run", "list/run-of-nothing": "does not list the run"}},
		{"no config from GetRun", func(f *faulty) {
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				info, err := f.Backend.GetRun(ctx, ref)
				info.Config = nil
				return info, err
			}
		}, map[string]string{"get/filled": "Config is no JSON"}},
		{"an unknown project has no runs", func(f *faulty) {
			f.listRuns = func(ctx context.Context, project string, opts trackio.ListOptions) infos {
				return func(yield func(trackio.RunInfo, error) bool) {
					for info, err := range f.Backend.ListRuns(ctx, project, opts) {
						if err != nil || !yield(info, nil) {
							return
						}
					}
				}
			}
		}, map[string]string{"unknown/project": "lists 0 runs without an error", "iterators/error-last": "0 items with 0 errors"}},
		{"alerts the oldest first", func(f *faulty) {
			f.listAlerts = func(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
				return relisted(f.Backend.ListAlerts(ctx, project, opts), func(a []trackio.Alert) []trackio.Alert { slices.Reverse(a); return a })
			}
		}, map[string]string{"alerts/list": "alert 0"}},
		{"alerts since any time", func(f *faulty) {
			f.listAlerts = func(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
				opts.Since = time.Time{}
				return f.Backend.ListAlerts(ctx, project, opts)
			}
		}, map[string]string{"alerts/list": "alerts, want"}},
		{"no alerts in an unknown project", func(f *faulty) {
			f.listAlerts = func(ctx context.Context, project string, opts trackio.AlertOptions) iter.Seq2[trackio.Alert, error] {
				return func(yield func(trackio.Alert, error) bool) {
					for alert, err := range f.Backend.ListAlerts(ctx, project, opts) {
						if err != nil || !yield(alert, nil) {
							return
						}
					}
				}
			}
		}, map[string]string{"alerts/unknown-project": "succeeded"}},
		{"a summary without the empty name", func(f *faulty) {
			f.summarizeRun = func(ctx context.Context, ref trackio.RunRef) (trackio.Summary, error) {
				s, err := f.Backend.SummarizeRun(ctx, ref)
				s.MetricNames = slices.DeleteFunc(s.MetricNames, func(name string) bool { return name == "" })
				return s, err
			}
		}, map[string]string{"summary/equals-stream": "MetricNames are"}},
	}
}

// again marshals a payload anew, as a storage of parsed values would.
func again(payload json.RawMessage) json.RawMessage {
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		return payload
	}
	b, err := json.Marshal(v)
	if err != nil {
		return payload
	}
	return b
}

func streamFaults() []fault {
	rows := 0
	return []fault{
		{"loses log ids", onImport(eachMetrics(func(row *trackio.MetricsRow) { row.LogID = "" })),
			map[string]string{"stream/round-trip": "LogID is \"\"", "stream/own-output": "LogID", "stream/digest": "the digest is"}},
		{"parses payloads", onImport(eachMetrics(func(row *trackio.MetricsRow) { row.Metrics = again(row.Metrics) })),
			map[string]string{"stream/payload-bytes": "Metrics is {"}},
		{"orders rows by step", onExport(func(_ trackio.ExportOptions, r trackio.Record) trackio.Record {
			if m, ok := r.(*trackio.Metrics); ok {
				slices.SortFunc(m.Rows, func(x, y trackio.MetricsRow) int { return int(x.Step - y.Step) })
			}
			return r
		}), map[string]string{"stream/row-order": "out of order"}},
		{"orders equal stamps by log id", onExport(func(_ trackio.ExportOptions, r trackio.Record) trackio.Record {
			if m, ok := r.(*trackio.Metrics); ok {
				slices.SortFunc(m.Rows, func(x, y trackio.MetricsRow) int {
					return strings.Compare(x.Timestamp+x.LogID, y.Timestamp+y.LogID)
				})
			}
			return r
		}), map[string]string{"stream/row-order": "metrics row"}},
		{"prints times anew", onImport(eachMetrics(func(row *trackio.MetricsRow) {
			row.Timestamp = strings.Replace(row.Timestamp, " ", "T", 1)
		})), map[string]string{"stream/timestamps": "Timestamp is"}},
		{"takes no text for an empty one", onImport(func(r trackio.Record) trackio.Record {
			if a, ok := r.(*trackio.Alerts); ok {
				for i := range a.Rows {
					if a.Rows[i].Text == nil {
						a.Rows[i].Text = new("")
					}
				}
			}
			return r
		}), map[string]string{"stream/optional-fields": "Text is"}},
		{"loses space ids", onImport(eachMetrics(func(row *trackio.MetricsRow) { row.SpaceID = "" })),
			map[string]string{"stream/space-ids": "SpaceID is \"\""}},
		{"a header without revision", onExport(func(_ trackio.ExportOptions, r trackio.Record) trackio.Record {
			if h, ok := r.(*trackio.Header); ok {
				h.Revision = ""
			}
			return r
		}), map[string]string{"stream/header": "the header has the revision \"\"", "revision/stable": "the header through"}},
		{"imports under the header's id", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				all, err := readAll(in)
				if err == nil && len(all) > 0 {
					ref = all[0].(*trackio.Header).RunRef
				}
				return f.Backend.ImportRun(ctx, ref, replay(all, err))
			}
		}, map[string]string{"stream/header-ref": "ImportRun"}},
		{"ends a stream after 1000 rows", onExport(func(_ trackio.ExportOptions, r trackio.Record) trackio.Record {
			switch m := r.(type) {
			case *trackio.Header:
				rows = 0
			case *trackio.Metrics:
				if rows += len(m.Rows); rows > 1000 {
					return nil
				}
			}
			return r
		}), map[string]string{"stream/many-rows": "rows of metrics came, want 5000"}},
		{"refuses rows above 4 MiB", onImport(eachMetrics(func(row *trackio.MetricsRow) {
			if len(row.Metrics) > 4<<20 {
				row.Metrics = json.RawMessage(`"too large"`)
			}
		})), map[string]string{"stream/large-row": "Metrics is"}},
		{"exports every kind", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				opts.Kinds = 0
				return f.Backend.ExportRun(ctx, ref, opts)
			}
		}, map[string]string{"export/kinds": "with Kinds"}},
		{"leaves out rows without a step", onExport(func(opts trackio.ExportOptions, r trackio.Record) trackio.Record {
			if a, ok := r.(*trackio.Alerts); ok && opts.Steps.From != nil {
				a.Rows = slices.DeleteFunc(a.Rows, func(row trackio.AlertRow) bool { return row.Step == nil })
			}
			return r
		}), map[string]string{"export/steps": "alerts"}},
		{"compares times as text", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				to := opts.Times.To
				opts.Times = trackio.Range[time.Time]{}
				return changed(f.Backend.ExportRun(ctx, ref, opts), func(r trackio.Record) trackio.Record {
					if m, ok := r.(*trackio.Metrics); ok && to != nil {
						m.Rows = slices.DeleteFunc(m.Rows, func(row trackio.MetricsRow) bool { return row.Timestamp > trackio.FormatTime(*to) })
					}
					return r
				})
			}
		}, map[string]string{"export/times": "metrics"}},
	}
}

// replay is a stream of records that are there already.
func replay(all []trackio.Record, err error) records {
	return func(yield func(trackio.Record, error) bool) {
		for _, record := range all {
			if !yield(record, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// eachMedia is a change of media alone.
func eachMedia(change func(*trackio.Media) trackio.Record) func(trackio.Record) trackio.Record {
	return func(r trackio.Record) trackio.Record {
		if m, ok := r.(*trackio.Media); ok {
			return change(m)
		}
		return r
	}
}

func onExportedMedia(change func(trackio.ExportOptions, *trackio.Media) trackio.Record) func(*faulty) {
	return onExport(func(opts trackio.ExportOptions, r trackio.Record) trackio.Record {
		return eachMedia(func(m *trackio.Media) trackio.Record { return change(opts, m) })(r)
	})
}

func mediaFaults() []fault {
	return []fault{
		{"reads files short", onExportedMedia(func(_ trackio.ExportOptions, m *trackio.Media) trackio.Record {
			if m.Body != nil && m.Size > 0 {
				m.Body = io.LimitReader(m.Body, m.Size-1)
			}
			return m
		}), map[string]string{"media/bytes": "its record says"}},
		{"loses the last files", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				n := 0
				return changed(f.Backend.ExportRun(ctx, ref, opts), eachMedia(func(m *trackio.Media) trackio.Record {
					if n++; n > 100 {
						return nil
					}
					return m
				}))
			}
		}, map[string]string{"media/many": "100 media came, want 200"}},
		{"unescapes paths", onExportedMedia(func(_ trackio.ExportOptions, m *trackio.Media) trackio.Record {
			m.Path = strings.ReplaceAll(m.Path, "%2F", "/")
			return m
		}), map[string]string{"media/paths": "media"}},
		{"leaves out missing files", onExportedMedia(func(_ trackio.ExportOptions, m *trackio.Media) trackio.Record {
			if m.Missing {
				return nil
			}
			return m
		}), map[string]string{"media/missing": "media 0 of 3"}},
		{"needs the sum beforehand", onImport(eachMedia(func(m *trackio.Media) trackio.Record {
			if m.SHA256 == "" && !m.Missing {
				m.Body = nil
			}
			return m
		})), map[string]string{"media/unknown-sum": "ImportRun of media without SHA256"}},
		{"no sums without bodies", onExportedMedia(func(opts trackio.ExportOptions, m *trackio.Media) trackio.Record {
			if opts.NoBodies {
				m.SHA256 = ""
			}
			return m
		}), map[string]string{"media/no-bodies": "has no SHA256"}},
		{"one reader for all bodies", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				all, err := readAll(f.Backend.ExportRun(ctx, ref, opts))
				var bodies []io.Reader
				for _, r := range all {
					if m, ok := r.(*trackio.Media); ok && m.Body != nil {
						bodies = append(bodies, m.Body)
					}
				}
				all1 := io.MultiReader(bodies...)
				return changed(replay(all, err), eachMedia(func(m *trackio.Media) trackio.Record {
					if m.Body != nil {
						m.Body = io.LimitReader(all1, m.Size)
					}
					return m
				}))
			}
		}, map[string]string{"media/unread-bodies": "are not its own"}},
		{"takes the slash off foreign references", onExport(func(_ trackio.ExportOptions, r trackio.Record) trackio.Record {
			return eachMetrics(func(row *trackio.MetricsRow) {
				row.Metrics = bytes.ReplaceAll(row.Metrics, []byte(`"file_path":"/`), []byte(`"file_path":"`))
			})(r)
		}), map[string]string{"media/foreign-references": "Metrics is"}},
		{"looks for references as text", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				var text []byte
				return changed(f.Backend.ExportRun(ctx, ref, opts), func(r trackio.Record) trackio.Record {
					switch r := r.(type) {
					case *trackio.Metrics:
						for _, row := range r.Rows {
							text = append(text, row.Metrics...)
						}
					case *trackio.Media:
						if !bytes.Contains(text, []byte(r.Path)) {
							return nil
						}
					}
					return r
				})
			}
		}, map[string]string{"media/escaped-reference": "0 media came, want 1"}},
	}
}
