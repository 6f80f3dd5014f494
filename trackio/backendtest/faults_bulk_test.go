package backendtest_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// changing makes a bulk change that gets its results from a function.
func changing(do func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error)) func(*faulty) {
	return func(f *faulty) {
		f.changeRuns = func(ctx context.Context, changes []trackio.Change) results {
			return func(yield func(trackio.ChangeResult, error) bool) {
				all, err := do(f, ctx, changes)
				for _, result := range all {
					if !yield(result, nil) {
						return
					}
				}
				if err != nil {
					yield(trackio.ChangeResult{}, err)
				}
			}
		}
	}
}

// changed makes the changes as the reference does.
func (f *faulty) changed(ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
	return readAll(f.Backend.ChangeRuns(ctx, changes))
}

func bulkFaults() []fault {
	return []fault{
		{"renames none of many", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			var all []trackio.ChangeResult
			for _, c := range changes {
				if c.Kind == trackio.ChangeRename {
					all = append(all, trackio.ChangeResult{Run: trackio.RunInfo{RunRef: c.Run, Name: c.Name}})
					continue
				}
				one, err := f.changed(ctx, []trackio.Change{c})
				if err != nil {
					return all, err
				}
				all = append(all, one...)
			}
			return all, nil
		}), map[string]string{"bulk/changes": `named "one name", want the name "renamed`}},
		{"deletes by name", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			for _, c := range changes {
				if c.Kind != trackio.ChangeDelete {
					continue
				}
				for _, ref := range slices.Collect(f.namesakes(ctx, c.Run)) {
					if !slices.ContainsFunc(changes, func(c trackio.Change) bool { return c.Run == ref }) {
						_ = f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{})
					}
				}
			}
			return f.changed(ctx, changes)
		}), map[string]string{"bulk/changes": "has no run"}},
		{"results as they come", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			all, err := f.changed(ctx, changes)
			slices.Reverse(all)
			return all, err
		}), map[string]string{"bulk/results": "result 1 of ChangeRuns is the run"}},
		{"results of what was changed only", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			all, err := f.changed(ctx, changes)
			return slices.DeleteFunc(all, func(r trackio.ChangeResult) bool { return r.Run.ID == "" }), err
		}), map[string]string{"bulk/results": "of 9 runs yielded 6 results"}},
		{"results without revisions", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			all, err := f.changed(ctx, changes)
			for i := range all {
				all[i].Run.Revision = ""
			}
			return all, err
		}), map[string]string{"bulk/results": `has the revision ""`}},
		{"stops at the first refusal", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			all := make([]trackio.ChangeResult, len(changes))
			for i, c := range changes {
				one, err := f.changed(ctx, []trackio.Change{c})
				if err != nil {
					return nil, err
				}
				if all[i] = one[0]; one[0].Err != nil {
					for k := range all[i:] {
						all[i+k].Err = one[0].Err
					}
					break
				}
			}
			return all, nil
		}), map[string]string{"bulk/refused": "beside others that are refused"}},
		{"refuses for all of them", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			for _, c := range changes {
				if _, err := f.Backend.GetRun(ctx, c.Run); err != nil {
					return nil, err
				}
			}
			return f.changed(ctx, changes)
		}), map[string]string{"bulk/refused": "ChangeRuns of 12 runs: "}},
		{"many are changed without a guard", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			changes = slices.Clone(changes)
			for i := range changes {
				changes[i].IfRevision = ""
			}
			return f.changed(ctx, changes)
		}), map[string]string{"bulk/guards": "succeeded"}},
		{"many are changed while they are written to", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			changes = slices.Clone(changes)
			for i := range changes {
				changes[i].Force = true
			}
			return f.changed(ctx, changes)
		}), map[string]string{"bulk/guards": "succeeded", "bulk/refused": "succeeded"}},
		{"looks before it changes", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			seen := make([]error, len(changes))
			for i, c := range changes {
				_, seen[i] = f.Backend.GetRun(ctx, c.Run)
			}
			all, err := f.changed(ctx, changes)
			for i := range all {
				if seen[i] != nil {
					all[i] = trackio.ChangeResult{Err: seen[i]}
				}
			}
			return all, err
		}), map[string]string{"bulk/one-run": "change 5 of one id"}},
		{"changes more than it tells", func(f *faulty) {
			f.changeRuns = func(ctx context.Context, changes []trackio.Change) results {
				return func(yield func(trackio.ChangeResult, error) bool) {
					all, err := f.changed(context.WithoutCancel(ctx), changes)
					for _, result := range all {
						if err = ctx.Err(); err != nil || !yield(result, nil) {
							break
						}
					}
					if err != nil {
						yield(trackio.ChangeResult{}, err)
					}
				}
			}
		}, map[string]string{"bulk/cancelled": "ChangeRuns, cancelled after 0 results, had yielded 0 and then the error context canceled"}},
		{"is deaf while it changes many", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			return f.changed(context.WithoutCancel(ctx), changes)
		}), map[string]string{"bulk/cancelled": "with a context that had ended before yielded 8 results"}},
		{"moves many in two steps", changing(func(f *faulty, ctx context.Context, changes []trackio.Change) ([]trackio.ChangeResult, error) {
			all := make([]trackio.ChangeResult, len(changes))
			for i, c := range changes {
				records, err := readAll(f.Backend.ExportRun(ctx, c.Run, trackio.ExportOptions{}))
				if err == nil {
					all[i].Run, err = f.Backend.ImportRun(ctx, trackio.RunRef{Project: c.To, ID: c.Run.ID}, replay(records, nil))
				}
				all[i].Err = err
			}
			time.Sleep(200 * time.Millisecond)
			for i, c := range changes {
				if all[i].Err == nil {
					all[i].Err = f.Backend.DeleteRun(ctx, c.Run, trackio.DeleteOptions{})
				}
			}
			return all, nil
		}), map[string]string{"bulk/concurrent": "deleted beside it: true: "}},
		{"says that it changes many and does not", func(f *faulty) {
			f.changeRuns = func(context.Context, []trackio.Change) results {
				return func(yield func(trackio.ChangeResult, error) bool) {
					yield(trackio.ChangeResult{}, trackio.Errorf(errors.ErrUnsupported, "one at a time"))
				}
			}
		}, map[string]string{"capabilities/work": "BulkChanger is offered"}},
	}
}
