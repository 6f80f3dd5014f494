package backendtest_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// withoutMedia exports the media of the marked runs as missing.
func (f *faulty) withoutMedia() {
	f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
		return changed(f.Backend.ExportRun(ctx, ref, opts), eachMedia(func(m *trackio.Media) trackio.Record {
			if f.marked(ref) {
				return &trackio.Media{Path: m.Path, Missing: true}
			}
			return m
		}))
	}
}

func changeFaults() []fault {
	return []fault{
		{"does not delete", func(f *faulty) {
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, _ trackio.DeleteOptions) error {
				_, err := f.Backend.GetRun(ctx, ref)
				return err
			}
		}, map[string]string{"delete/everything": "after DeleteRun"}},
		{"takes the media of namesakes along", func(f *faulty) {
			f.withoutMedia()
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				for other := range f.namesakes(ctx, ref) {
					f.mark(other)
				}
				return f.Backend.DeleteRun(ctx, ref, opts)
			}
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				for other := range f.namesakes(ctx, ref) {
					f.mark(other)
				}
				return f.Backend.MoveRun(ctx, ref, project, opts)
			}
		}, map[string]string{"delete/spares-others": "Missing is true", "move/spares-others": "Missing is true"}},
		{"removes the media of namesakes in the target", func(f *faulty) {
			f.withoutMedia()
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				info, err := f.Backend.MoveRun(ctx, ref, project, opts)
				for other := range f.namesakes(ctx, info.RunRef) {
					f.mark(other)
				}
				return info, err
			}
		}, map[string]string{"move/same-name-in-target": "Missing is true"}},
		{"leaves the media of deleted runs", leavesMedia, map[string]string{"delete/nothing-returns": "something of the deleted run is back"}},
		{"a project without runs is damaged", func(f *faulty) {
			f.listRuns = func(ctx context.Context, project string, opts trackio.ListOptions) infos {
				runs, _ := readAll(f.Backend.ListRuns(ctx, project, opts))
				if len(runs) == 0 {
					return replayInfos(trackio.Errorf(trackio.ErrDataLoss, "no runs"))
				}
				return f.Backend.ListRuns(ctx, project, opts)
			}
		}, map[string]string{"delete/last-run": "data loss"}},
		{"ignores the revision", func(f *faulty) {
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				return f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{Force: opts.Force})
			}
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				return f.Backend.MoveRun(ctx, ref, project, trackio.MoveOptions{Force: opts.Force})
			}
			f.renameRun = func(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
				return f.Backend.RenameRun(ctx, ref, name, trackio.RenameOptions{Force: opts.Force})
			}
		}, map[string]string{
			"delete/if-revision": "succeeded", "move/if-revision": "succeeded", "rename/if-revision": "succeeded",
			"revision/changes": "succeeded",
		}},
		{"a new revision at each look", func(f *faulty) {
			f.getRun = func(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
				info, err := f.Backend.GetRun(ctx, ref)
				info.Revision += fmt.Sprint("-", f.add(1))
				return info, err
			}
		}, map[string]string{"revision/stable": "and the run has not changed"}},
		{"does not mind a training", func(f *faulty) {
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				opts.Force = true
				return f.Backend.DeleteRun(ctx, ref, opts)
			}
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				opts.Force = true
				return f.Backend.MoveRun(ctx, ref, project, opts)
			}
			f.renameRun = func(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
				opts.Force = true
				return f.Backend.RenameRun(ctx, ref, name, opts)
			}
		}, map[string]string{"delete/live": "succeeded", "move/live": "succeeded", "rename/live": "succeeded"}},
		{"loses log ids in a move", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, _ trackio.MoveOptions) (trackio.RunInfo, error) {
				return f.rewrite(ctx, ref, trackio.RunRef{Project: project, ID: ref.ID}, eachMetrics(func(row *trackio.MetricsRow) { row.LogID = "" }))
			}
		}, map[string]string{"move/keeps-everything": "LogID is", "move/there-and-back": "LogID is"}},
		{"loses alerts in a move", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, _ trackio.MoveOptions) (trackio.RunInfo, error) {
				return f.rewrite(ctx, ref, trackio.RunRef{Project: project, ID: ref.ID}, func(r trackio.Record) trackio.Record {
					if _, ok := r.(*trackio.Alerts); ok {
						return nil
					}
					return r
				})
			}
		}, map[string]string{"move/partial-runs": "rows of alerts came"}},
		{"returns the run as it was before the move", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				before, _ := f.Backend.GetRun(ctx, ref)
				_, err := f.Backend.MoveRun(ctx, ref, project, opts)
				return before, err
			}
		}, map[string]string{"move/result": "MoveRun returned the run"}},
		{"moves over what is there", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				_ = f.Backend.DeleteRun(ctx, trackio.RunRef{Project: project, ID: ref.ID}, trackio.DeleteOptions{})
				return f.Backend.MoveRun(ctx, ref, project, opts)
			}
		}, map[string]string{"move/exists": "succeeded"}},
		{"moves to the same project", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				if project == ref.Project {
					return f.Backend.GetRun(ctx, ref)
				}
				return f.Backend.MoveRun(ctx, ref, project, opts)
			}
		}, map[string]string{"move/same-project": "succeeded"}},
		{"creates the target of an unknown run", func(f *faulty) {
			f.moveRun = func(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
				info, err := f.Backend.MoveRun(ctx, ref, project, opts)
				if err != nil {
					_, _ = f.Backend.ImportRun(ctx, trackio.RunRef{Project: project, ID: "x"}, replay([]trackio.Record{&trackio.Header{}}, nil))
				}
				return info, err
			}
		}, map[string]string{"unknown/run": "after a move of an unknown run"}},
		{"deletes an unknown run", func(f *faulty) {
			f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				if err := f.Backend.DeleteRun(ctx, ref, opts); trackio.KindOf(err) != trackio.ErrNotFound {
					return err
				}
				return nil
			}
		}, map[string]string{"unknown/run": "DeleteRun", "unknown/project": "DeleteRun"}},
		{"moves in two steps, target first", func(f *faulty) { f.moveRun = f.moveInSteps(false) },
			map[string]string{"concurrency/move-watched": "and still in the source", "concurrency/move-twice": "two moves of one run at once"}},
		{"moves in two steps, source first", func(f *faulty) { f.moveRun = f.moveInSteps(true) },
			map[string]string{"concurrency/move-watched": "neither in the source nor in the target"}},
		{"loses the config in a renaming", func(f *faulty) {
			f.renameRun = func(ctx context.Context, ref trackio.RunRef, name string, _ trackio.RenameOptions) (trackio.RunInfo, error) {
				return f.rewrite(ctx, ref, ref, func(r trackio.Record) trackio.Record {
					switch r := r.(type) {
					case *trackio.Header:
						r.Name = name
					case *trackio.Config:
						return nil
					}
					return r
				})
			}
		}, map[string]string{"rename/only-the-name": "no config came"}},
		{"renames to free names only", func(f *faulty) {
			f.renameRun = func(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
				runs, _ := readAll(f.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{}))
				if slices.ContainsFunc(runs, func(info trackio.RunInfo) bool { return info.Name == name }) {
					return trackio.RunInfo{}, exists(ref)
				}
				return f.Backend.RenameRun(ctx, ref, name, opts)
			}
		}, map[string]string{"rename/to-a-taken-name": "is taken"}},
		{"finds media by the name of the run", func(f *faulty) {
			f.withoutMedia()
			f.renameRun = func(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
				f.mark(ref)
				return f.Backend.RenameRun(ctx, ref, name, opts)
			}
		}, map[string]string{"rename/then-move-and-delete": "Missing is true"}},
	}
}

// moveInSteps copies a run and removes it, with a pause between.
func (f *faulty) moveInSteps(sourceFirst bool) func(context.Context, trackio.RunRef, string, trackio.MoveOptions) (trackio.RunInfo, error) {
	return func(ctx context.Context, ref trackio.RunRef, project string, _ trackio.MoveOptions) (trackio.RunInfo, error) {
		all, err := readAll(f.Backend.ExportRun(ctx, ref, trackio.ExportOptions{}))
		if err != nil {
			return trackio.RunInfo{}, err
		}
		var info trackio.RunInfo
		steps := []func() error{
			func() (err error) {
				info, err = f.Backend.ImportRun(ctx, trackio.RunRef{Project: project, ID: ref.ID}, replay(all, nil))
				return err
			},
			func() error { return f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}) },
		}
		if sourceFirst {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return info, err
			}
			time.Sleep(20 * time.Millisecond)
		}
		return info, nil
	}
}

// leavesMedia keeps the files of a deleted run where a run of the same id finds
// them again.
func leavesMedia(f *faulty) {
	f.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
		kept := map[string]*trackio.Media{}
		for r, err := range f.Backend.ExportRun(ctx, ref, trackio.ExportOptions{Kinds: trackio.KindMedia}) {
			if m, ok := r.(*trackio.Media); ok && err == nil && !m.Missing {
				kept[m.Path] = m
			}
		}
		f.mu.Lock()
		f.files[ref] = kept
		f.mu.Unlock()
		return f.Backend.DeleteRun(ctx, ref, opts)
	}
	f.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) records {
		return changed(f.Backend.ExportRun(ctx, ref, opts), eachMedia(func(m *trackio.Media) trackio.Record {
			f.mu.Lock()
			defer f.mu.Unlock()
			if old, ok := f.files[ref][m.Path]; ok {
				return old
			}
			return m
		}))
	}
}
