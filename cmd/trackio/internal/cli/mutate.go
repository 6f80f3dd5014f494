package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// changeFlags are the flags of the commands that change runs or copy them.
type changeFlags struct {
	project          string
	runs, runIDs     []string
	yes, force, json bool
}

func (a *app) addChangeFlags(cmd *cobra.Command, f *changeFlags) {
	a.addProjectFlag(cmd, &f.project)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.runs, "run", nil, "run `name` or id; may be given several times")
	flags.StringArrayVar(&f.runIDs, "run-id", nil, "run `id`, exactly; may be given several times")
	flags.BoolVar(&f.force, "force", false, "also when the run is still written to, or its rows are not delivered")
	cmd.MarkFlagsOneRequired("run", "run-id")
	a.complete(cmd, "run", a.completeRuns)
	a.complete(cmd, "run-id", a.completeRunIDs)
	addJSONFlag(cmd, &f.json)
}

func addYesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask")
}

func (a *app) deleteCommand() *cobra.Command {
	cmd := a.group("delete", "Delete runs or projects")
	var f changeFlags
	run := &cobra.Command{
		Use:     "run",
		Aliases: []string{"runs"},
		Short:   "Delete runs with their metrics, config, alerts, traces and media",
		Long: `Delete runs with their metrics, config, system metrics, alerts, traces and
media. Files and rows of other runs are never touched. On a terminal it asks
first; elsewhere, and with --json, it needs --yes.`,
		Example: `  trackio delete run --project mnist --run first
  trackio delete runs --project mnist --run first --run second --yes`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.deleteRuns(ctx, b, f) }),
	}
	a.addChangeFlags(run, &f)
	addYesFlag(run, &f.yes)
	cmd.AddCommand(run, a.deleteProjectCommand())
	return cmd
}

// changedRun is one run in JSON after a change, or a copy of one.
type changedRun struct {
	Run         string `json:"run"`
	RunID       string `json:"run_id"`
	Project     string `json:"project"`
	FromRun     string `json:"from_run,omitempty"` // what a renamed run was called
	FromProject string `json:"from_project,omitempty"`
	FromRunID   string `json:"from_run_id,omitempty"` // only when the id is another now
	*runSize           // of a copy
}

func (a *app) deleteRuns(ctx context.Context, b trackio.Backend, f changeFlags) error {
	ask := !f.yes
	if err := a.needsAnswer(ask, f.json); err != nil {
		return err
	}
	all, err := a.runs(ctx, b, f.project, trackio.ListOptions{Counts: ask})
	if err != nil {
		return err
	}
	runs, err := a.runsToChange(all, f.runs, f.runIDs)
	if err != nil {
		return err
	}
	opts := make([]trackio.DeleteOptions, len(runs))
	for i, run := range runs {
		opts[i].Force = f.force
		if !ask || f.force {
			continue
		}
		seen, err := b.GetRun(ctx, run.Info().RunRef) // what the question shows is what is deleted
		if err != nil {
			return err
		}
		opts[i].IfRevision = seen.Revision
	}
	if ask {
		if err := a.confirmDelete(ctx, all.Project(), runs); err != nil {
			return err
		}
	}
	var done []changedRun
	for i, run := range runs {
		if err = run.DeleteWith(ctx, opts[i]); err != nil {
			err = named("deleting", run, err)
			break
		}
		done = append(done, changedRun{Run: run.Name(), RunID: run.ID(), Project: run.Project()})
		if !f.json {
			a.linef("Deleted run %q (%s) from project %q.", run.Name(), clean(run.ID()), run.Project())
		}
	}
	return a.finish("deleted", done, len(runs), f, err)
}

// needsAnswer reports a question that nobody is there to answer.
func (a *app) needsAnswer(ask, asJSON bool) error {
	if ask && (asJSON || !a.env.StdinTTY || !a.env.StderrTTY) {
		return trackio.Errorf(trackio.ErrInvalid, "deleting needs a yes, and there is nobody to ask").
			WithHint("add --yes to delete without a question")
	}
	return nil
}

// confirmDelete shows what is to go and asks.
func (a *app) confirmDelete(ctx context.Context, project string, runs []*trackio.Run) error {
	a.say("", "This deletes from project %q, with all metrics and media:", project)
	for _, run := range runs {
		info, rows := run.Info(), ""
		if info.Counts != nil {
			rows = ", " + rowsText(*info.Counts)
		}
		a.say("", "  %s (id %s, created %s%s)", info.Name, info.ID, a.env.showTime(info.CreatedAt), rows)
	}
	return a.confirm(ctx, "Delete "+plural(len(runs), "run")+"?")
}

// confirm asks for a yes; anything else is an error.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(a.env.Stderr, "%s [y/N] ", cleanText(question))
	answer, err := a.readLine(ctx)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing deleted")
}

// readLine reads an answer. It returns when the program is interrupted, though
// the reading itself cannot be.
func (a *app) readLine(ctx context.Context) (string, error) {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(a.env.Stdin).ReadString('\n')
		line <- text // at the end of the input: "", which is no yes
	}()
	select {
	case text := <-line:
		if !strings.HasSuffix(text, "\n") {
			fmt.Fprintln(a.env.Stderr)
		}
		return text, nil
	case <-ctx.Done():
		fmt.Fprintln(a.env.Stderr)
		return "", ctx.Err()
	}
}

func (a *app) moveCommand() *cobra.Command {
	cmd := a.group("move", "Move runs to another project")
	var f changeFlags
	var to string
	run := &cobra.Command{
		Use:     "run",
		Aliases: []string{"runs"},
		Short:   "Move runs with everything that belongs to them to another project",
		Long: `Move runs to another project of the same storage, which is created when it is
new. Metrics, config, system metrics, alerts, traces and media go along; at
every moment a run is in exactly one of the two projects.`,
		Example: `  trackio move run --project mnist --run first --to archive
  trackio move runs --project mnist --run first --run second --to archive --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.moveRuns(ctx, b, f, to) }),
	}
	a.addChangeFlags(run, &f)
	addYesFlag(run, &f.yes)
	run.Flags().StringVar(&to, "to", "", "`project` to move to")
	_ = run.MarkFlagRequired("to")
	a.complete(run, "to", a.completeProjects)
	cmd.AddCommand(run)
	return cmd
}

func (a *app) moveRuns(ctx context.Context, b trackio.Backend, f changeFlags, to string) error {
	all, err := a.runs(ctx, b, f.project, trackio.ListOptions{})
	if err != nil {
		return err
	}
	runs, err := a.runsToChange(all, f.runs, f.runIDs)
	if err != nil {
		return err
	}
	var done []changedRun
	for _, run := range runs {
		was := run.Info()
		if err = run.MoveWith(ctx, to, trackio.MoveOptions{Force: f.force}); err != nil {
			err = named("moving", run, err)
			break
		}
		c := changedRun{Run: run.Name(), RunID: run.ID(), Project: run.Project(), FromProject: was.Project}
		newID := ""
		if was.ID != run.ID() {
			c.FromRunID = was.ID
			newID = fmt.Sprintf("; its id is now %s", clean(run.ID()))
		}
		done = append(done, c)
		if !f.json {
			a.linef("Moved run %q (%s) from project %q to %q%s.", was.Name, clean(was.ID), was.Project, run.Project(), newID)
		}
	}
	return a.finish("moved", done, len(runs), f, err)
}

// named adds the name of the run to the error of a change: storages know runs by
// their ids, people by their names.
func named(doing string, run *trackio.Run, err error) error {
	if run.Name() == run.ID() {
		return err
	}
	return fmt.Errorf("%s run %q: %w", doing, run.Name(), err)
}

// finish prints the result of a change. What is done is printed even when a
// later run failed.
func (a *app) finish(verb string, done []changedRun, wanted int, f changeFlags, err error) error {
	return finishChange(a, verb, "run", done, wanted, f, err)
}

func finishChange[T any](a *app, verb, thing string, done []T, wanted int, f changeFlags, err error) error {
	if f.json && (err == nil || len(done) > 0) {
		o := a.json()
		o.field(verb, nonNil(done))
		if endErr := o.end(); err == nil {
			err = endErr
		}
	}
	if err == nil {
		return nil
	}
	if flushErr := a.out.Flush(); flushErr != nil {
		return errors.Join(err, flushErr)
	}
	if len(done) > 0 {
		a.warn("%s %d of %s before the error", verb, len(done), plural(wanted, thing))
	}
	switch kind := trackio.KindOf(err); {
	case kind == trackio.ErrConflict && !f.force:
		return namesForce(err)
	case kind == trackio.ErrBackendDied:
		return trackio.Errorf(kind, "%w", err).WithHint("trackio doctor shows what was interrupted; look whether the change took effect before you repeat it")
	}
	return err
}

// namesForce makes a conflict say what the way out is called here: backends know
// that a call can be forced, not how.
func namesForce(err error) error {
	hint := trackio.HintOf(err)
	switch {
	case hint == "":
		hint = "wait until the run has ended, or add --force"
	case strings.Contains(hint, "force") && !strings.Contains(hint, "--force"):
		hint += " (--force)"
	default:
		return err
	}
	return trackio.Errorf(trackio.ErrConflict, "%w", err).WithHint("%s", hint)
}
