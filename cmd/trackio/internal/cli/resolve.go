package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// runFlags name one run: by --run, a name or an id, or exactly by --run-id.
type runFlags struct{ project, run, runID string }

func (a *app) addProjectFlag(cmd *cobra.Command, project *string) {
	cmd.Flags().StringVar(project, "project", "", "project `name`")
	_ = cmd.MarkFlagRequired("project")
	a.complete(cmd, "project", a.completeProjects)
}

func (a *app) addRunFlags(cmd *cobra.Command, f *runFlags, required bool) {
	a.addProjectFlag(cmd, &f.project)
	cmd.Flags().StringVar(&f.run, "run", "", "run `name` or id; the newest run when several share the name")
	cmd.Flags().StringVar(&f.runID, "run-id", "", "run `id`, exactly")
	cmd.MarkFlagsMutuallyExclusive("run", "run-id")
	if required {
		cmd.MarkFlagsOneRequired("run", "run-id")
	}
	a.complete(cmd, "run", a.completeRuns)
	a.complete(cmd, "run-id", a.completeRunIDs)
}

// given reports whether a run was named at all.
func (f runFlags) given() bool { return f.run != "" || f.runID != "" }

// runs lists a project; an unknown one is an error that suggests another.
func (a *app) runs(ctx context.Context, b trackio.Backend, project string, opts trackio.ListOptions) (*trackio.Runs, error) {
	api := trackio.New(b)
	runs, err := api.RunsWith(ctx, project, opts)
	if err != nil && trackio.KindOf(err) == trackio.ErrNotFound {
		projects, listErr := api.Projects(ctx)
		if listErr != nil {
			return nil, err
		}
		name := trackio.CanonicalProject(project)
		if !slices.Contains(projects, name) {
			err = trackio.Errorf(trackio.ErrNotFound, "%w", err).WithHint("trackio list projects shows what there is")
		}
		return nil, suggest(err, "project", name, projects)
	}
	return runs, err
}

// run finds the run to read. As in Python, a name that several runs share means
// the newest of them; a warning says so.
func (a *app) run(ctx context.Context, b trackio.Backend, f runFlags) (*trackio.Run, error) {
	runs, err := a.runs(ctx, b, f.project, trackio.ListOptions{})
	if err != nil {
		return nil, err
	}
	if f.runID != "" {
		run, ok := runs.ByID(f.runID)
		if !ok {
			return nil, noRun(runs, "run-id", f.runID)
		}
		return run, nil
	}
	if named := runs.Named(f.run); len(named) > 0 {
		newest := named[len(named)-1]
		if len(named) > 1 {
			a.warn("%d runs of project %q are named %q; this is the newest, %s (use --run-id for another: %s)",
				len(named), runs.Project(), f.run, newest.ID(), strings.Join(ids(named[:len(named)-1]), ", "))
		}
		return newest, nil
	}
	if run, ok := runs.ByID(f.run); ok {
		return run, nil
	}
	return nil, noRun(runs, "run", f.run)
}

// runsToChange finds the runs that a change is for. A name must mean one run:
// nothing is deleted or moved by a guess.
func (a *app) runsToChange(runs *trackio.Runs, names, runIDs []string) ([]*trackio.Run, error) {
	var found []*trackio.Run
	add := func(run *trackio.Run) {
		if !slices.Contains(found, run) {
			found = append(found, run)
		}
	}
	for _, id := range runIDs {
		run, ok := runs.ByID(id)
		if !ok {
			return nil, noRun(runs, "run-id", id)
		}
		add(run)
	}
	for _, name := range names {
		matches := runs.Named(name)
		if run, ok := runs.ByID(name); ok && !slices.Contains(matches, run) {
			matches = append(matches, run)
		}
		switch len(matches) {
		case 0:
			return nil, noRun(runs, "run", name)
		case 1:
			add(matches[0])
		default:
			return nil, trackio.Errorf(trackio.ErrInvalid, "%q means %d runs of project %q: %s",
				name, len(matches), runs.Project(), strings.Join(ids(matches), ", ")).
				WithHint("name the one you mean with --run-id, such as --run-id %s", shellWord(matches[0].ID()))
		}
	}
	return found, nil
}

func noRun(runs *trackio.Runs, flag, word string) error {
	var names []string
	for run := range runs.All() {
		if flag == "run" {
			names = append(names, run.Name())
		} else {
			names = append(names, run.ID())
		}
	}
	thing := "run"
	if flag == "run-id" {
		thing = "run id"
	}
	err := trackio.Errorf(trackio.ErrNotFound, "%s %q not found in project %q", thing, word, runs.Project()).
		WithHint("trackio list runs --project %s shows them", shellWord(runs.Project()))
	return suggest(err, flag, word, names)
}

func ids(runs []*trackio.Run) []string {
	all := make([]string, len(runs))
	for i, run := range runs {
		all[i] = run.ID()
	}
	return all
}

// escapeQuotes writes text for the inside of single quotes of a shell.
func escapeQuotes(text string) string { return strings.ReplaceAll(text, "'", `'\''`) }
