package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

func projectChecks() []Check {
	const removes = "DeleteProject removes the project."
	return []Check{
		{"project/delete", removes, deleteProject},
		{"project/delete-unknown", "An unknown one is [ErrNotFound]; one with a run that is still written to is [ErrConflict] unless opts.Force is set", deleteUnknownProject},
		{"project/delete-live", "An unknown one is [ErrNotFound]; one with a run that is still written to is [ErrConflict] unless opts.Force is set", deleteLiveProject},
		{"project/delete-spares-others", "RunRef names a run: ids are unique within a project.", deleteProjectSparesOthers},
		{"project/delete-nothing-returns", removes, deletedProjectReturns},
		{"project/delete-watched", "It is all or nothing for readers.", deleteProjectWatched},
		{"examine/healthy", "Examiner is the optional capability to look for what is wrong with a storage, beyond what a read would meet.", examineHealthy},
		{"examine/changes-nothing", "it changes nothing without.", examineChangesNothing},
	}
}

// crowd returns runs of a project: one of everything, namesakes, a small one.
func crowd(e *Env, project string) map[trackio.RunRef]run {
	runs := twins(e, project, "one name")
	runs[trackio.RunRef{Project: project, ID: e.Key()}] = full(e.Key(), "one name")
	runs[trackio.RunRef{Project: project, ID: e.Key()}] = small(e.Key(), "small")
	return runs
}

// noRuns reports when anything is left of a deleted project.
func noRuns(ctx context.Context, b trackio.Backend, project string, runs map[trackio.RunRef]run) error {
	for ref := range runs {
		if err := absent(ctx, b, ref); err != nil {
			return err
		}
	}
	projects, err := collect(b.ListProjects(ctx))
	if err != nil {
		return fmt.Errorf("ListProjects: %w", err)
	}
	if slices.Contains(projects, project) {
		return fmt.Errorf("ListProjects lists %q, which was deleted", project)
	}
	_, err = listRuns(ctx, b, project, trackio.ListOptions{})
	return wantKind(fmt.Sprintf("ListRuns(%q)", project), err, trackio.ErrNotFound)
}

func deleteProject(ctx context.Context, e *Env) error {
	deleter, err := capability[trackio.ProjectDeleter](e)
	if err != nil {
		return err
	}
	project := e.Project()
	runs := crowd(e, project)
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	if err := holdsAll(ctx, other, runs); err != nil { // and whatever it remembers of that
		return err
	}
	if err := deleter.DeleteProject(ctx, project, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteProject(%q): %w", project, err)
	}
	for what, b := range map[string]trackio.Backend{"the same handle": e.Backend, "another handle": other} {
		if err := noRuns(ctx, b, project, runs); err != nil {
			return fmt.Errorf("after DeleteProject, through %s: %w", what, err)
		}
	}
	return nil
}

func deleteUnknownProject(ctx context.Context, e *Env) error {
	deleter, err := capability[trackio.ProjectDeleter](e)
	if err != nil {
		return err
	}
	known := e.ref()
	want := small(e.Key(), "known")
	if _, err := put(ctx, e.Backend, known, want); err != nil {
		return err
	}
	for _, unknown := range []string{e.Project(), known.Project + "x", known.Project[:len(known.Project)-2], known.ID} {
		for _, force := range []bool{false, true} {
			err := deleter.DeleteProject(ctx, unknown, trackio.DeleteOptions{Force: force})
			if err := wantKind(fmt.Sprintf("DeleteProject(%q)", unknown), err, trackio.ErrNotFound); err != nil {
				return err
			}
		}
		if err := noProject(ctx, e.Backend, unknown); err != nil {
			return err
		}
	}
	return holds(ctx, e.Backend, known, want)
}

func deleteLiveProject(ctx context.Context, e *Env) error {
	deleter, err := capability[trackio.ProjectDeleter](e)
	if err != nil {
		return err
	}
	project := e.Project()
	if err := putAll(ctx, e.Backend, crowd(e, project)); err != nil {
		return err
	}
	err = live(ctx, e, "DeleteProject", func(ref trackio.RunRef, force bool) error {
		older := small(e.Key(), "older")
		older.metrics[0].Timestamp = stamp(-60)
		runs := map[trackio.RunRef]run{{Project: ref.Project, ID: e.Key()}: older, {Project: ref.Project, ID: e.Key()}: full(e.Key(), "as old")}
		if err := putAll(ctx, e.Backend, runs); err != nil {
			return err
		}
		err := deleter.DeleteProject(ctx, ref.Project, trackio.DeleteOptions{Force: force})
		if err == nil {
			return noRuns(ctx, e.Backend, ref.Project, runs)
		}
		if damaged := holdsAll(ctx, e.Backend, runs); damaged != nil {
			return fmt.Errorf("after a refused DeleteProject: %w", damaged)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := deleter.DeleteProject(ctx, project, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteProject of a project whose runs are of long ago: %w", err)
	}
	return nil
}

// deleteProjectSparesOthers has the same ids and names in other projects, some of
// whose names begin alike.
func deleteProjectSparesOthers(ctx context.Context, e *Env) error {
	deleter, err := capability[trackio.ProjectDeleter](e)
	if err != nil {
		return err
	}
	project := e.Project()
	doomed := crowd(e, project)
	spared := map[trackio.RunRef]run{}
	for _, other := range []string{e.Project(), e.NamedProject(project + "-"), e.NamedProject(project + "_")} {
		for ref := range doomed {
			spared[trackio.RunRef{Project: other, ID: ref.ID}] = withMedia(e.Key(), "one name", newFile("0/a.png", []byte("in "+other)), newFile("3/a.png", []byte("other bytes")))
		}
	}
	if err := errors.Join(putAll(ctx, e.Backend, doomed), putAll(ctx, e.Backend, spared)); err != nil {
		return err
	}
	if err := deleter.DeleteProject(ctx, project, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteProject(%q): %w", project, err)
	}
	if err := holdsAll(ctx, e.Backend, spared); err != nil {
		return fmt.Errorf("after the deletion of project %q: %w", project, err)
	}
	return nil
}

// deletedProjectReturns makes a project anew, with runs of the same ids and names
// that have less in them.
func deletedProjectReturns(ctx context.Context, e *Env) error {
	deleter, err := capability[trackio.ProjectDeleter](e)
	if err != nil {
		return err
	}
	project := e.Project()
	runs := crowd(e, project)
	back := trackio.RunRef{Project: project, ID: e.Key()}
	runs[back] = full(e.Key(), "one name")
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	if err := deleter.DeleteProject(ctx, project, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteProject(%q): %w", project, err)
	}
	next := withMedia(e.Key(), "one name", missingFile("0/a.png"), missingFile("2/in trace.png"), newFile("3/a.png", []byte("new bytes")))
	if _, err := put(ctx, e.Backend, back, next); err != nil {
		return fmt.Errorf("into a project that was deleted before: %w", err)
	}
	if err := holds(ctx, e.Backend, back, next); err != nil {
		return fmt.Errorf("something of the deleted project is back: %w", err)
	}
	infos, err := listRuns(ctx, e.Backend, project, trackio.ListOptions{})
	if err != nil {
		return fmt.Errorf("ListRuns(%q): %w", project, err)
	}
	if len(infos) != 1 {
		return fmt.Errorf("ListRuns(%q) lists %d runs after the project was deleted and one run imported", project, len(infos))
	}
	return nil
}

// deleteProjectWatched looks while projects are deleted: all runs are there, or
// none is.
func deleteProjectWatched(ctx context.Context, e *Env) error {
	deleter, err := capability[trackio.ProjectDeleter](e)
	if err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		project := e.Project()
		runs := crowd(e, project)
		if err := putAll(ctx, e.Backend, runs); err != nil {
			return err
		}
		stop, seen := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				infos, err := listRuns(ctx, other, project, trackio.ListOptions{})
				switch {
				case err != nil && trackio.KindOf(err) != trackio.ErrNotFound:
					seen <- fmt.Errorf("ListRuns(%q) during its deletion: %w", project, err)
					return
				case len(infos) != 0 && len(infos) != len(runs):
					seen <- fmt.Errorf("during its deletion the project has %d of its %d runs", len(infos), len(runs))
					return
				}
				select {
				case <-stop:
					seen <- nil
					return
				default:
				}
			}
		}()
		err := deleter.DeleteProject(ctx, project, trackio.DeleteOptions{})
		close(stop)
		if err := <-seen; err != nil {
			return err
		}
		if err != nil {
			return fmt.Errorf("DeleteProject(%q): %w", project, err)
		}
	}
	return nil
}

// examine returns the findings that concern the check's own projects, or all when
// nothing else is in the storage.
func examine(ctx context.Context, e *Env, examiner trackio.Examiner, fix bool) ([]trackio.Finding, error) {
	all, err := collect(examiner.Examine(ctx, trackio.ExamineOptions{Fix: fix}))
	if err != nil {
		return nil, fmt.Errorf("Examine: %w", err)
	}
	return slices.DeleteFunc(all, func(f trackio.Finding) bool {
		return !e.Fresh && !slices.Contains(e.projects, f.Project)
	}), nil
}

func examineHealthy(ctx context.Context, e *Env) error {
	examiner, err := capability[trackio.Examiner](e)
	if err != nil {
		return err
	}
	project := e.Project()
	runs := twins(e, project, "one name")
	runs[trackio.RunRef{Project: project, ID: e.Key()}] = small(e.Key(), "small")
	for _, state := range []string{"an empty storage", "a storage with runs", "a storage after a deletion"} {
		switch state {
		case "a storage with runs":
			err = putAll(ctx, e.Backend, runs)
		case "a storage after a deletion":
			err = deleteAll(ctx, e.Backend, maps.Keys(runs))
		}
		if err != nil {
			return err
		}
		for _, fix := range []bool{false, true} {
			if fix && !e.Fresh {
				continue // others' interrupted operations are none of this check's business
			}
			findings, err := examine(ctx, e, examiner, fix)
			if err != nil {
				return err
			}
			if len(findings) > 0 {
				return fmt.Errorf("Examine (Fix: %t) of %s finds %+v", fix, state, findings[0])
			}
		}
	}
	return nil
}

func examineChangesNothing(ctx context.Context, e *Env) error {
	examiner, err := capability[trackio.Examiner](e)
	if err != nil {
		return err
	}
	runs := crowd(e, e.Project())
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	before := map[trackio.RunRef]string{}
	for ref := range runs {
		if before[ref], err = revisionOf(ctx, e.Backend, ref); err != nil {
			return err
		}
	}
	if _, err := examine(ctx, e, examiner, false); err != nil {
		return err
	}
	if err := holdsAll(ctx, e.Backend, runs); err != nil {
		return fmt.Errorf("after Examine: %w", err)
	}
	for ref := range runs {
		after, err := revisionOf(ctx, e.Backend, ref)
		if err != nil {
			return err
		}
		if after != before[ref] {
			return fmt.Errorf("Examine changed the revision of run %s from %q to %q", at(ref), before[ref], after)
		}
	}
	return nil
}
