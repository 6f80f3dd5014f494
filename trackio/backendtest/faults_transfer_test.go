package backendtest_test

import (
	"context"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

func transferFaults() []fault {
	return []fault{
		{"forgets what is not delivered", onImport(eachMetrics(func(row *trackio.MetricsRow) { row.SpaceID = "" })),
			map[string]string{"transfer/copy": "SpaceID is"}},
		{"says other sums without bodies", onExportedMedia(func(opts trackio.ExportOptions, m *trackio.Media) trackio.Record {
			if opts.NoBodies && !m.Missing {
				return &trackio.Media{Path: m.Path, Size: m.Size, SHA256: strings.Repeat("0", 64)}
			}
			return m
		}), map[string]string{"transfer/copy": "is not what was read", "transfer/move": "is not what was read"}},
		{"finds files that are missing", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				return f.Backend.ImportRun(ctx, ref, changed(in, eachMedia(func(m *trackio.Media) trackio.Record {
					if m.Missing {
						return &trackio.Media{Path: m.Path, Body: strings.NewReader("")}
					}
					return m
				})))
			}
		}, map[string]string{"transfer/copy": "Missing is false", "transfer/move": "Missing is false"}},
		{"being read is a change", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				return func(yield func(trackio.Record, error) bool) {
					for r, err := range f.Backend.ExportRun(ctx, ref, opts) {
						if !yield(r, err) {
							return
						}
					}
					if info, err := f.Backend.GetRun(ctx, ref); err == nil {
						_, _ = f.Backend.RenameRun(ctx, ref, info.Name, trackio.RenameOptions{})
					}
				}
			}
		}, map[string]string{"transfer/copy": "being copied changed the revision"}},
		{"runs of one name share their files", func(f *faulty) {
			f.withoutMedia()
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				for other := range f.namesakes(ctx, ref) {
					f.mark(other)
				}
				return f.Backend.DeleteRun(ctx, ref, opts)
			}
		}, map[string]string{"transfer/new-id": "Missing is true"}},
		{"imports over what is there", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				_ = f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{Force: true})
				return f.Backend.ImportRun(ctx, ref, in)
			}
		}, map[string]string{"transfer/exists": "succeeded"}},
		{"says that it has deleted", func(f *faulty) {
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, _ trackio.DeleteOptions) error {
				_, err := f.Backend.GetRun(ctx, ref)
				return err
			}
		}, map[string]string{"transfer/move": "in the old place, after a move"}},
		{"a taken id is a conflict", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				info, err := f.Backend.ImportRun(ctx, ref, in)
				if trackio.KindOf(err) == trackio.ErrExists {
					err = trackio.Errorf(trackio.ErrConflict, "taken")
				}
				return info, err
			}
		}, map[string]string{"transfer/exists": `kind "conflict"`, "transfer/interrupted": `kind "conflict"`}},
		{"exports without space ids", onExport(func(_ trackio.ExportOptions, r trackio.Record) trackio.Record {
			switch r := r.(type) {
			case *trackio.SystemMetrics:
				rows := append([]trackio.SystemMetricsRow(nil), r.Rows...)
				for i := range rows {
					rows[i].SpaceID = ""
				}
				return &trackio.SystemMetrics{Rows: rows}
			case *trackio.Traces:
				rows := append([]trackio.TraceRow(nil), r.Rows...)
				for i := range rows {
					rows[i].SpaceID = ""
				}
				return &trackio.Traces{Rows: rows}
			}
			return eachMetrics(func(row *trackio.MetricsRow) { row.SpaceID = "" })(r)
		}), map[string]string{"transfer/undelivered": "succeeded"}},
		{"an import has another revision than the run", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				info, err := f.Backend.ImportRun(ctx, ref, in)
				info.Revision += "-imported"
				return info, err
			}
		}, map[string]string{"transfer/taken-back": "in the target, after a transfer that failed"}},
		{"deletes whatever state it is in", func(f *faulty) {
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				return f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{Force: opts.Force})
			}
		}, map[string]string{"transfer/taken-back": "succeeded"}},
		{"a handle finds only what it has imported", func(f *faulty) {
			mine := map[trackio.RunRef]bool{}
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				info, err := f.Backend.ImportRun(ctx, ref, in)
				mine[ref] = mine[ref] || err == nil
				return info, err
			}
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				if !mine[ref] {
					return trackio.RunInfo{}, trackio.Errorf(trackio.ErrNotFound, "not here")
				}
				return f.Backend.GetRun(ctx, ref)
			}
		}, map[string]string{"transfer/onto-itself": "was deleted as its own copy"}},
	}
}
