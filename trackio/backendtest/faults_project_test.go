package backendtest_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// refs returns the runs of a project.
func (f *faulty) refs(ctx context.Context, project string) []trackio.RunRef {
	var refs []trackio.RunRef
	for info, err := range f.Backend.ListRuns(ctx, project, trackio.ListOptions{}) {
		if err == nil {
			refs = append(refs, info.RunRef)
		}
	}
	return refs
}

// examined makes an examination that does something first and finds something.
func examined(do func(f *faulty, ctx context.Context), findings ...trackio.Finding) func(*faulty) {
	return func(f *faulty) {
		f.examine = func(ctx context.Context, _ trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
			return func(yield func(trackio.Finding, error) bool) {
				if do != nil {
					do(f, ctx)
				}
				for _, finding := range findings {
					if !yield(finding, nil) {
						return
					}
				}
			}
		}
	}
}

func projectFaults() []fault {
	return []fault{
		{"leaves one run of a deleted project", func(f *faulty) {
			f.deleteProject = func(ctx context.Context, project string, opts trackio.DeleteOptions) error {
				refs := f.refs(ctx, project)
				if len(refs) == 0 {
					return f.Backend.DeleteProject(ctx, project, opts)
				}
				for _, ref := range refs[1:] {
					if err := f.Backend.DeleteRun(ctx, ref, opts); err != nil {
						return err
					}
				}
				return nil
			}
		}, map[string]string{"project/delete": "after DeleteProject, through"}},
		{"deletes an unknown project", func(f *faulty) {
			f.deleteProject = func(ctx context.Context, project string, opts trackio.DeleteOptions) error {
				if err := f.Backend.DeleteProject(ctx, project, opts); trackio.KindOf(err) != trackio.ErrNotFound {
					return err
				}
				return nil
			}
		}, map[string]string{"project/delete-unknown": "succeeded"}},
		{"deletes a project that is written to", func(f *faulty) {
			f.deleteProject = func(ctx context.Context, project string, _ trackio.DeleteOptions) error {
				return f.Backend.DeleteProject(ctx, project, trackio.DeleteOptions{Force: true})
			}
		}, map[string]string{"project/delete-live": "succeeded"}},
		{"deletes up to the run that is written to", func(f *faulty) {
			f.deleteProject = func(ctx context.Context, project string, opts trackio.DeleteOptions) error {
				for _, ref := range f.refs(ctx, project) {
					if err := f.Backend.DeleteRun(ctx, ref, opts); err != nil {
						return err
					}
				}
				return nil
			}
		}, map[string]string{"project/delete-live": "after a refused DeleteProject"}},
		{"takes the name of a project for a prefix", func(f *faulty) {
			f.deleteProject = func(ctx context.Context, project string, opts trackio.DeleteOptions) error {
				projects, _ := readAll(f.Backend.ListProjects(ctx))
				for _, other := range projects {
					if other != project && strings.HasPrefix(other, project) {
						_ = f.Backend.DeleteProject(ctx, other, opts)
					}
				}
				return f.Backend.DeleteProject(ctx, project, opts)
			}
		}, map[string]string{"project/delete-spares-others": "after the deletion of project"}},
		{"leaves the media of deleted projects", func(f *faulty) {
			leavesMedia(f)
			f.deleteProject = func(ctx context.Context, project string, opts trackio.DeleteOptions) error {
				for _, ref := range f.refs(ctx, project) {
					if err := f.deleteRun(ctx, ref, opts); err != nil {
						return err
					}
				}
				return nil
			}
		}, map[string]string{"project/delete-nothing-returns": "something of the deleted project is back"}},
		{"deletes a project run by run", func(f *faulty) {
			f.deleteProject = func(ctx context.Context, project string, opts trackio.DeleteOptions) error {
				for _, ref := range f.refs(ctx, project) {
					if err := f.Backend.DeleteRun(ctx, ref, opts); err != nil {
						return err
					}
					time.Sleep(5 * time.Millisecond)
				}
				return nil
			}
		}, map[string]string{"project/delete-watched": "during its deletion the project has"}},
		{"finds something everywhere", examined(nil, trackio.Finding{Kind: trackio.FindingOperation, Message: "something"}),
			map[string]string{"examine/healthy": "finds"}},
		{"an examination touches what it looks at", examined(func(f *faulty, ctx context.Context) {
			projects, _ := readAll(f.Backend.ListProjects(ctx))
			for _, project := range projects {
				for _, ref := range f.refs(ctx, project) {
					if info, err := f.Backend.GetRun(ctx, ref); err == nil {
						_, _ = f.Backend.RenameRun(ctx, ref, info.Name, trackio.RenameOptions{})
					}
				}
			}
		}), map[string]string{"examine/changes-nothing": "changed the revision"}},
		{"an examination removes what it does not know", examined(func(f *faulty, ctx context.Context) {
			projects, _ := readAll(f.Backend.ListProjects(ctx))
			for _, project := range projects {
				for _, ref := range f.refs(ctx, project)[1:] {
					_ = f.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{})
				}
			}
		}), map[string]string{"examine/changes-nothing": "after Examine"}},
		{"says that it examines and does not", func(f *faulty) {
			f.examine = func(context.Context, trackio.ExamineOptions) iter.Seq2[trackio.Finding, error] {
				return func(yield func(trackio.Finding, error) bool) {
					yield(trackio.Finding{}, trackio.Errorf(errors.ErrUnsupported, "no time"))
				}
			}
		}, map[string]string{"capabilities/work": "Examiner is offered"}},
	}
}
