package backendtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

func exists(ref trackio.RunRef) error {
	return trackio.Errorf(trackio.ErrExists, "%q is taken", ref.ID)
}

func importFaults() []fault {
	return []fault{
		{"no revision from an import", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				info, err := f.Backend.ImportRun(ctx, ref, in)
				info.Revision = ""
				return info, err
			}
		}, map[string]string{"import/result": "leaves Revision empty"}},
		{"remembers what was not there", func(f *faulty) {
			gone := map[string]bool{}
			f.listRuns = func(ctx context.Context, project string, opts trackio.ListOptions) infos {
				if gone[project] {
					return replayInfos(trackio.Errorf(trackio.ErrNotFound, "no project"))
				}
				_, err := readAll(f.Backend.ListRuns(ctx, project, opts))
				gone[project] = err != nil
				return f.Backend.ListRuns(ctx, project, opts)
			}
		}, map[string]string{"import/visible": "does not list the run"}},
		{"overwrites", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				all, err := readAll(in)
				if err == nil {
					_ = f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{})
				}
				return f.Backend.ImportRun(ctx, ref, replay(all, err))
			}
		}, map[string]string{"import/exists": "succeeded", "concurrency/import-twice": "both succeeded"}},
		{"names are unique", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				info, err := f.Backend.ImportRun(ctx, ref, in)
				for range f.namesakes(ctx, ref) {
					return info, errors.Join(exists(ref), f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}))
				}
				return info, err
			}
		}, map[string]string{"import/same-name": "is taken"}},
		{"ids are unique in the storage", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				if anywhere := (trackio.RunRef{ID: ref.ID}); f.marked(anywhere) {
					return trackio.RunInfo{}, exists(ref)
				}
				f.mark(trackio.RunRef{ID: ref.ID})
				return f.Backend.ImportRun(ctx, ref, in)
			}
		}, map[string]string{"import/same-id-elsewhere": "is taken"}},
		{"keeps the half of a failed import", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				all, failed := readAll(in)
				info, err := f.Backend.ImportRun(context.WithoutCancel(ctx), ref, replay(all, nil))
				if failed == nil {
					failed = err
				}
				return info, failed
			}
		}, map[string]string{"import/stream-error": "after a failed import", "import/cancelled": "after a failed import"}},
		{"swallows the error of a stream", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				all, _ := readAll(in)
				return f.Backend.ImportRun(ctx, ref, replay(all, nil))
			}
		}, map[string]string{"import/stream-error": "succeeded"}},
		{"leaves the project of a failed import", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				info, err := f.Backend.ImportRun(ctx, ref, in)
				if err != nil {
					rest := trackio.RunRef{Project: ref.Project, ID: "rest"}
					_, _ = f.Backend.ImportRun(context.WithoutCancel(ctx), rest, replay([]trackio.Record{&trackio.Header{}}, nil))
				}
				return info, err
			}
		}, map[string]string{"import/stream-error": "which was never created"}},
		{"cleans up a failed import by its name", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				var name string
				info, err := f.Backend.ImportRun(ctx, ref, changed(in, func(r trackio.Record) trackio.Record {
					if h, ok := r.(*trackio.Header); ok {
						name = h.Name
					}
					return r
				}))
				if err != nil {
					for other, failed := range f.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{}) {
						if failed == nil && other.Name == name {
							_ = f.Backend.DeleteRun(ctx, other.RunRef, trackio.DeleteOptions{})
						}
					}
				}
				return info, err
			}
		}, map[string]string{"import/failure-keeps-others": "has no run"}},
		{"overlooks a second header", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				seen := false
				return f.Backend.ImportRun(ctx, ref, changed(in, func(r trackio.Record) trackio.Record {
					if _, ok := r.(*trackio.Header); ok {
						if seen {
							return nil
						}
						seen = true
					}
					return r
				}))
			}
		}, map[string]string{"import/rules": "two headers succeeded"}},
		{"sorts the rows of a stream", onImport(func(r trackio.Record) trackio.Record {
			if m, ok := r.(*trackio.Metrics); ok {
				rows := slices.SortedFunc(slices.Values(m.Rows), func(x, y trackio.MetricsRow) int { return strings.Compare(x.Timestamp, y.Timestamp) })
				return &trackio.Metrics{Rows: rows}
			}
			return r
		}), map[string]string{"import/rules": "rows out of the order of their timestamps succeeded"}},
		{"stores what came of a body", onImport(eachMedia(func(m *trackio.Media) trackio.Record {
			if m.Missing {
				return m
			}
			var body []byte
			if m.Body != nil {
				body, _ = io.ReadAll(m.Body)
			}
			return &trackio.Media{Path: m.Path, Size: int64(len(body)), Body: bytes.NewReader(body)}
		})), map[string]string{"import/bodies": "ImportRun of media with no body succeeded"}},
		{"shows an import under way", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				_, _ = f.Backend.ImportRun(ctx, ref, replay([]trackio.Record{&trackio.Header{}}, nil))
				all, err := readAll(in)
				_ = f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{})
				return f.Backend.ImportRun(ctx, ref, replay(all, err))
			}
		}, map[string]string{"concurrency/import-unseen": "succeeded"}},
	}
}

func replayInfos(err error) infos {
	return func(yield func(trackio.RunInfo, error) bool) { yield(trackio.RunInfo{}, err) }
}
