package backendtest_test

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func nameFaults() []fault {
	onImportedRef := func(change func(trackio.RunRef) trackio.RunRef) func(*faulty) {
		return func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				return f.Backend.ImportRun(ctx, change(ref), in)
			}
		}
	}
	return []fault{
		{"cleans names as paths", onImport(func(r trackio.Record) trackio.Record {
			if h, ok := r.(*trackio.Header); ok {
				h.Name = path.Clean(h.Name)
			}
			return r
		}), map[string]string{"names/run-names": "a run named"}},
		{"cleans ids as paths", onImportedRef(func(ref trackio.RunRef) trackio.RunRef {
			ref.ID = path.Clean(ref.ID)
			return ref
		}), map[string]string{"names/run-ids": "ImportRun"}},
		{"finds runs by name too", func(f *faulty) {
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				for info, err := range f.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{}) {
					if err == nil && info.Name == ref.ID {
						return f.Backend.GetRun(ctx, info.RunRef)
					}
				}
				return f.Backend.GetRun(ctx, ref)
			}
		}, map[string]string{"names/crossed": "GetRun", "unknown/run": "GetRun"}},
		{"takes ids for patterns", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				info, err := f.Backend.MoveRun(ctx, ref, project, opts)
				for other, failed := range f.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{}) {
					if ok, _ := path.Match(ref.ID, other.ID); ok && failed == nil {
						_, _ = f.Backend.MoveRun(ctx, other.RunRef, project, opts)
					}
				}
				return info, err
			}
		}, map[string]string{"names/patterns": "was taken out"}},
		{"projects of ASCII only", onImportedRef(func(ref trackio.RunRef) trackio.RunRef {
			ref.Project = strings.Map(func(r rune) rune {
				if r > 127 {
					return '_'
				}
				return r
			}, ref.Project)
			return ref
		}), map[string]string{"names/projects": "project \""}},
		{"cleans new names as paths", func(f *faulty) {
			f.renameRun = func(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
				return f.Backend.RenameRun(ctx, ref, path.Clean(name), opts)
			}
		}, map[string]string{"rename/odd-names": "RenameRun returned"}},
	}
}

func callFaults() []fault {
	gone := func(f *faulty, ctx context.Context, ref trackio.RunRef) bool {
		_, err := f.Backend.GetRun(ctx, ref)
		return err != nil
	}
	// untilGone ends an export without a word when the run, the context or the
	// handle is gone.
	untilGone := func(f *faulty) {
		f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
			return func(yield func(trackio.Record, error) bool) {
				begun := false
				for r, err := range f.Backend.ExportRun(ctx, ref, opts) {
					if begun && (err != nil || gone(f, ctx, ref)) || !yield(r, err) {
						return
					}
					begun = true
				}
			}
		}
	}
	return []fault{
		{"ends an export without a word", untilGone, map[string]string{
			"concurrency/export-and-delete": "is not whole", "concurrency/export-and-move": "is not whole",
			"context/cancelled-export": "is not whole", "close/calls-under-way": "is not whole",
		}},
		{"reads before the loop", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				return replay(readAll(f.Backend.ExportRun(ctx, ref, opts)))
			}
		}, map[string]string{"iterators/lazy": "ExportRun, called before an import"}},
		{"a loop that is left holds a lock", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				return func(yield func(trackio.Record, error) bool) {
					f.add(1)
					for r, err := range f.Backend.ExportRun(ctx, ref, opts) {
						if !yield(r, err) {
							return
						}
					}
					f.add(-1)
				}
			}
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				if f.add(0) > 0 {
					return trackio.Errorf(trackio.ErrConflict, "locked")
				}
				return f.Backend.DeleteRun(ctx, ref, opts)
			}
		}, map[string]string{"iterators/left-early": "loops that were left early: locked"}},
		{"goes on after an error", func(f *faulty) {
			f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
				return func(yield func(trackio.Record, error) bool) {
					for r, err := range f.Backend.ExportRun(ctx, ref, opts) {
						if !yield(r, err) || err != nil && !yield(r, err) {
							return
						}
					}
				}
			}
		}, map[string]string{"iterators/error-last": "2 items with 2 errors"}},
		{"does not mind a cancelled context", func(f *faulty) {
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				return f.Backend.GetRun(context.WithoutCancel(ctx), ref)
			}
		}, map[string]string{"context/cancelled-before": "GetRun with a cancelled context succeeded"}},
		{"cannot be closed again", func(f *faulty) {
			closed := false
			f.close = func() error {
				if closed {
					return errors.New("closed already")
				}
				closed = true
				return f.Backend.Close()
			}
		}, map[string]string{"close/twice": "the second Close: closed already"}},
		{"never closes", func(f *faulty) { f.close = func() error { return nil } },
			map[string]string{"close/calls-afterwards": "after Close succeeded"}},
		{"errors without a kind", func(f *faulty) {
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				info, err := f.Backend.GetRun(ctx, ref)
				if err != nil {
					err = errors.New("no such run")
				}
				return info, err
			}
		}, map[string]string{"unknown/run": "without a kind"}},
		{"forgets everything when closed", func(f *faulty) {
			f.close = func() error {
				ctx := context.Background()
				projects, _ := readAll(f.Backend.ListProjects(ctx))
				for _, project := range projects {
					runs, _ := readAll(f.Backend.ListRuns(ctx, project, trackio.ListOptions{}))
					for _, info := range runs {
						_ = f.Backend.DeleteRun(ctx, info.RunRef, trackio.DeleteOptions{Force: true})
					}
				}
				return f.Backend.Close()
			}
		}, map[string]string{"close/keeps-the-runs": "has no run"}},
		{"says that it moves and does not", func(f *faulty) {
			f.moveRun = func(context.Context, trackio.RunRef, string, trackio.MoveOptions) (trackio.RunInfo, error) {
				return trackio.RunInfo{}, trackio.Errorf(errors.ErrUnsupported, "no moves today")
			}
		}, map[string]string{"capabilities/work": "Mover is offered"}},
		{"one import at a time", func(f *faulty) {
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				defer f.add(-1)
				if f.add(1) > 1 {
					return trackio.RunInfo{}, trackio.Errorf(trackio.ErrConflict, "busy")
				}
				time.Sleep(20 * time.Millisecond)
				return f.Backend.ImportRun(ctx, ref, in)
			}
		}, map[string]string{"concurrency/many-callers": "six callers at once"}},
	}
}
