package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func (a *app) deleteProjectCommand() *cobra.Command {
	var f changeFlags
	var projects []string
	cmd := &cobra.Command{
		Use:     "project",
		Aliases: []string{"projects"},
		Short:   "Delete projects with all their runs",
		Long: `Delete projects with all their runs, and with what belongs to no run: media,
artifacts and files. Other projects are never touched. On a terminal it asks
first; elsewhere, and with --json, it needs --yes. A project with a run that is
still written to is left alone unless --force is given.

A storage that cannot delete a project as a whole deletes its runs one by one;
what belongs to none of them then stays, and a note says so.`,
		Example: `  trackio delete project --project scratch
  trackio delete projects --project scratch --project tmp --yes --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.deleteProjects(ctx, b, projects, f) }),
	}
	cmd.Flags().StringArrayVar(&projects, "project", nil, "project `name`; may be given several times")
	_ = cmd.MarkFlagRequired("project")
	a.complete(cmd, "project", a.completeProjects)
	addYesFlag(cmd, &f.yes)
	cmd.Flags().BoolVar(&f.force, "force", false, "also when a run is still written to")
	addJSONFlag(cmd, &f.json)
	return cmd
}

// countTime is how long rows are counted for a question; longer than that a
// person need not wait for it.
const countTime = 2 * time.Second

// projectContents is what was seen in a project.
type projectContents struct {
	name    string
	ids     []string
	counts  *trackio.Counts // nil when not known
	damaged error           // why the runs could not be listed
}

// deletedProject is one deleted project in JSON.
type deletedProject struct {
	Project string `json:"project"`
	Runs    *int   `json:"runs"` // null when they could not be listed
}

func (a *app) deleteProjects(ctx context.Context, b trackio.Backend, projects []string, f changeFlags) error {
	ask := !f.yes
	if err := a.needsAnswer(ask, f.json); err != nil {
		return err
	}
	var doomed []projectContents
	for _, project := range projects {
		if trackio.CanonicalProject("x"+project) == "x" { // it would mean "default"; nobody asks for that so
			return trackio.Errorf(trackio.ErrInvalid, "--project %q has no letter and no digit", project).WithHint("name a project")
		}
		contents, err := a.lookInto(ctx, b, project, ask)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(doomed, func(d projectContents) bool { return d.name == contents.name }) {
			doomed = append(doomed, contents)
		}
	}
	_, whole := trackio.As[trackio.ProjectDeleter](b)
	if !whole {
		a.say("note:", "this storage cannot delete a project as a whole: its runs are deleted one by one, and what belongs to none of them, such as artifacts and files, stays")
	}
	if ask {
		if err := a.confirmProjects(ctx, b, doomed); err != nil {
			return err
		}
	}
	var err error
	var done []deletedProject
	for _, contents := range doomed {
		if err = trackio.New(b).DeleteProject(ctx, contents.name, trackio.DeleteOptions{Force: f.force}); err != nil {
			if !whole {
				a.tellLeft(ctx, b, contents)
			}
			break
		}
		if !whole {
			a.tellStays(ctx, b, contents.name)
		}
		d := deletedProject{Project: contents.name}
		if contents.damaged == nil {
			d.Runs = new(int)
			*d.Runs = len(contents.ids)
		}
		done = append(done, d)
		if !f.json {
			a.linef("Deleted project %q with %s.", contents.name, contents.runsText())
		}
	}
	return finishChange(a, "deleted", "project", done, len(doomed), f, err)
}

// lookInto lists a project. One that is damaged can be deleted, but not shown.
func (a *app) lookInto(ctx context.Context, b trackio.Backend, project string, count bool) (projectContents, error) {
	contents := projectContents{name: trackio.CanonicalProject(project)}
	var runs *trackio.Runs
	var err error
	if count {
		limited, cancel := context.WithTimeout(ctx, countTime)
		runs, err = a.runs(limited, b, project, trackio.ListOptions{Counts: true})
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			count = false
		}
		cancel()
	}
	if !count {
		runs, err = a.runs(ctx, b, project, trackio.ListOptions{})
	}
	switch {
	case err == nil:
	case trackio.KindOf(err) == trackio.ErrDataLoss:
		contents.damaged = err
		return contents, nil
	default:
		return contents, err
	}
	contents.ids = []string{}
	if count {
		contents.counts = &trackio.Counts{}
	}
	for run := range runs.All() {
		info := run.Info()
		contents.ids = append(contents.ids, info.ID)
		if c := info.Counts; c != nil && contents.counts != nil {
			contents.counts.Metrics += c.Metrics
			contents.counts.SystemMetrics += c.SystemMetrics
			contents.counts.Alerts += c.Alerts
			contents.counts.Traces += c.Traces
		}
	}
	return contents, nil
}

func (c projectContents) runsText() string {
	if c.damaged != nil {
		return "all its runs"
	}
	return plural(len(c.ids), "run")
}

// confirmProjects shows what is to go and asks. What was not there when the
// question was asked is not deleted by its answer.
func (a *app) confirmProjects(ctx context.Context, b trackio.Backend, doomed []projectContents) error {
	a.say("", "This deletes with all metrics, media, artifacts and files:")
	for _, c := range doomed {
		switch {
		case c.damaged != nil:
			a.say("", "  project %q (damaged: %v)", c.name, c.damaged)
		case c.counts != nil:
			a.say("", "  project %q (%s, rows: %s)", c.name, c.runsText(), rowsText(*c.counts))
		default:
			a.say("", "  project %q (%s)", c.name, c.runsText())
		}
	}
	if err := a.confirm(ctx, "Delete "+plural(len(doomed), "project")+"?"); err != nil {
		return err
	}
	for _, c := range doomed {
		now, err := a.lookInto(ctx, b, c.name, false)
		if err != nil {
			return err
		}
		if !slices.Equal(now.ids, c.ids) {
			return trackio.Errorf(trackio.ErrConflict, "project %q has other runs now than when the question was asked; nothing was deleted", c.name).
				WithHint("look at it again, then repeat")
		}
	}
	return nil
}

// tellStays says what is left of a project whose runs were deleted one by one.
func (a *app) tellStays(ctx context.Context, b trackio.Backend, project string) {
	projects, err := trackio.New(b).Projects(ctx)
	if err == nil && slices.Contains(projects, project) {
		a.say("note:", "project %q itself stays, without runs", project)
	}
}

// tellLeft says how far the deletion of a project's runs got before its error.
func (a *app) tellLeft(ctx context.Context, b trackio.Backend, was projectContents) {
	now, err := a.lookInto(context.WithoutCancel(ctx), b, was.name, false)
	if err != nil || was.damaged != nil || now.damaged != nil {
		return
	}
	gone := 0
	for _, id := range was.ids {
		if !slices.Contains(now.ids, id) {
			gone++
		}
	}
	if gone > 0 {
		a.warn("%d of %s of project %q were deleted before the error", gone, plural(len(was.ids), "run"), was.name)
	}
}
