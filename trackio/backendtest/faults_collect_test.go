package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

// collecting makes a collection that does something and yields what that returns.
func collecting(do func(f *faulty, ctx context.Context, opts trackio.CollectOptions) []trackio.Garbage) func(*faulty) {
	return func(f *faulty) {
		f.collect = func(ctx context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
			return func(yield func(trackio.Garbage, error) bool) {
				for _, g := range do(f, ctx, opts) {
					if !yield(g, nil) {
						return
					}
				}
			}
		}
	}
}

// eachRun calls a function for every run of the storage.
func (f *faulty) eachRun(ctx context.Context, do func(trackio.RunRef)) {
	projects, _ := readAll(f.Backend.ListProjects(ctx))
	for _, project := range projects {
		for _, ref := range f.refs(ctx, project) {
			do(ref)
		}
	}
}

// whenCollected counts the collections that meet a condition, and hands imports
// beside one over to another import.
func whenCollected(counts func(trackio.CollectOptions) bool, beside func(f *faulty, ctx context.Context, ref trackio.RunRef, all []trackio.Record) (trackio.RunInfo, error)) func(*faulty) {
	return func(f *faulty) {
		collecting(func(f *faulty, _ context.Context, opts trackio.CollectOptions) []trackio.Garbage {
			if counts(opts) {
				f.add(1)
			}
			return nil
		})(f)
		f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
			before := f.add(0)
			all, err := readAll(in)
			if err != nil || f.add(0) == before {
				return f.Backend.ImportRun(ctx, ref, replay(all, err))
			}
			return beside(f, ctx, ref, all)
		}
	}
}

func collectFaults() []fault {
	garbage := func(name string) []trackio.Garbage {
		return []trackio.Garbage{{Kind: trackio.GarbageImport, Name: name, Objects: 1}}
	}
	always := func(trackio.CollectOptions) bool { return true }
	conflict := func(ref trackio.RunRef) error {
		return trackio.Errorf(trackio.ErrConflict, "the data of run %q was collected", ref.ID)
	}
	return []fault{
		{"collects the youngest run", collecting(func(f *faulty, ctx context.Context, opts trackio.CollectOptions) []trackio.Garbage {
			var last trackio.RunRef
			f.eachRun(ctx, func(ref trackio.RunRef) { last = ref })
			if !opts.DryRun {
				_ = f.Backend.DeleteRun(ctx, last, trackio.DeleteOptions{})
			}
			return nil
		}), map[string]string{"collect/spares-runs": "has no run"}},
		{"collects the media of namesakes", func(f *faulty) {
			f.withoutMedia()
			collecting(func(f *faulty, ctx context.Context, _ trackio.CollectOptions) []trackio.Garbage {
				f.eachRun(ctx, func(ref trackio.RunRef) {
					for range f.namesakes(ctx, ref) {
						f.mark(ref)
					}
				})
				return nil
			})(f)
		}, map[string]string{"collect/spares-runs": "Missing is true"}},
		{"collects what is imported after a collection", func(f *faulty) {
			collecting(func(f *faulty, _ context.Context, _ trackio.CollectOptions) []trackio.Garbage {
				f.add(1)
				return nil
			})(f)
			f.importRun = func(ctx context.Context, ref trackio.RunRef, in records) (trackio.RunInfo, error) {
				if f.add(0) > 0 {
					in = changed(in, eachMedia(func(m *trackio.Media) trackio.Record { return &trackio.Media{Path: m.Path, Missing: true} }))
				}
				return f.Backend.ImportRun(ctx, ref, in)
			}
		}, map[string]string{"collect/spares-runs": "beside one more run"}},
		{"yields one thing twice", collecting(func(*faulty, context.Context, trackio.CollectOptions) []trackio.Garbage {
			return slices.Repeat(garbage("x"), 2)
		}), map[string]string{"collect/dry-run": "want each thing once"}},
		{"removes in a dry run", collecting(func(f *faulty, _ context.Context, _ trackio.CollectOptions) []trackio.Garbage {
			if f.add(1) > 1 {
				return nil
			}
			return garbage("x")
		}), map[string]string{"collect/dry-run": "yield different things"}},
		{"touches runs in a dry run", collecting(func(f *faulty, ctx context.Context, _ trackio.CollectOptions) []trackio.Garbage {
			f.eachRun(ctx, func(ref trackio.RunRef) {
				if info, err := f.Backend.GetRun(ctx, ref); err == nil {
					_, _ = f.Backend.RenameRun(ctx, ref, info.Name, trackio.RenameOptions{})
				}
			})
			return nil
		}), map[string]string{"collect/dry-run": "changed the revision"}},
		{"a dry run promises too much", collecting(func(_ *faulty, _ context.Context, opts trackio.CollectOptions) []trackio.Garbage {
			if opts.DryRun {
				return garbage("x")
			}
			return nil
		}), map[string]string{"collect/dry-run": "it was not removed"}},
		{"yields what it does not remove", collecting(func(*faulty, context.Context, trackio.CollectOptions) []trackio.Garbage {
			return garbage("x")
		}), map[string]string{"collect/gone": "which it had removed before"}},
		{"never has enough", collecting(func(f *faulty, _ context.Context, _ trackio.CollectOptions) []trackio.Garbage {
			return garbage(fmt.Sprint(f.add(1)))
		}), map[string]string{"collect/gone": "finds more each time"}},
		{"does not look at the age", collecting(func(*faulty, context.Context, trackio.CollectOptions) []trackio.Garbage {
			return garbage("x")
		}), map[string]string{"collect/grace": "with a grace of fifty years yields"}},
		{"collects young imports", whenCollected(func(opts trackio.CollectOptions) bool { return opts.Grace > 0 },
			func(_ *faulty, _ context.Context, ref trackio.RunRef, _ []trackio.Record) (trackio.RunInfo, error) {
				return trackio.RunInfo{}, conflict(ref)
			}), map[string]string{"collect/grace": "beside a collection of what is older"}},
		{"an import does not notice that it was collected", whenCollected(always,
			func(f *faulty, ctx context.Context, ref trackio.RunRef, all []trackio.Record) (trackio.RunInfo, error) {
				return f.Backend.ImportRun(ctx, ref, changed(replay(all, nil), eachMedia(func(m *trackio.Media) trackio.Record {
					return &trackio.Media{Path: m.Path, Missing: true}
				})))
			}), map[string]string{"collect/beside-an-import": "had returned the error <nil>"}},
		{"a collected import is a mere failure", whenCollected(always,
			func(_ *faulty, _ context.Context, ref trackio.RunRef, _ []trackio.Record) (trackio.RunInfo, error) {
				return trackio.RunInfo{}, trackio.Errorf(trackio.ErrDataLoss, "the files of run %q are gone", ref.ID)
			}), map[string]string{"collect/beside-an-import": "ImportRun whose data was collected"}},
		{"a collected import leaves the run", whenCollected(always,
			func(f *faulty, ctx context.Context, ref trackio.RunRef, all []trackio.Record) (trackio.RunInfo, error) {
				_, err := f.Backend.ImportRun(ctx, ref, replay(all[:1], nil))
				return trackio.RunInfo{}, errors.Join(conflict(ref), err)
			}), map[string]string{"collect/beside-an-import": "after a failed import"}},
		{"says that it collects and does not", func(f *faulty) {
			f.collect = func(context.Context, trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
				return func(yield func(trackio.Garbage, error) bool) {
					yield(trackio.Garbage{}, trackio.Errorf(errors.ErrUnsupported, "no broom"))
				}
			}
		}, map[string]string{"capabilities/work": "Collector is offered"}},
	}
}
