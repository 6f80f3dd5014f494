package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func (a *app) renameCommand() *cobra.Command {
	cmd := a.group("rename", "Rename a run")
	var f changeFlags
	var name string
	run := &cobra.Command{
		Use:     "run",
		Aliases: []string{"runs"},
		Short:   "Give a run another name",
		Long: `Give a run another name. Its id, rows and files stay as they are. Names may
repeat; a name that could not be a directory, such as one with a part "..", is
refused, since Python's trackio uses names as directories. In databases that
are older than run ids the new name is the id too.`,
		Example: `  trackio rename run --project mnist --run first --name baseline
  trackio rename run --project mnist --run-id 3f0c --name baseline --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.renameRun(ctx, b, f, name) }),
	}
	a.addChangeFlags(run, &f)
	run.Flags().Lookup("run").Usage = "run `name` or id"
	run.Flags().Lookup("run-id").Usage = "run `id`, exactly"
	run.Flags().Lookup("force").Usage = "also when the run is still written to"
	run.Flags().StringVar(&name, "name", "", "the new `name`")
	_ = run.MarkFlagRequired("name")
	a.complete(run, "name", func(*cobra.Command, string) []string { return nil })
	cmd.AddCommand(run)
	return cmd
}

func (a *app) renameRun(ctx context.Context, b trackio.Backend, f changeFlags, name string) error {
	all, err := a.runs(ctx, b, f.project, trackio.ListOptions{})
	if err != nil {
		return err
	}
	runs, err := a.runsToChange(all, f.runs, f.runIDs)
	if err != nil {
		return err
	}
	if len(runs) > 1 {
		return trackio.Errorf(trackio.ErrInvalid, "%d runs were named, and one name is for one run", len(runs)).
			WithHint("rename them one by one")
	}
	run, was, shared := runs[0], runs[0].Info(), len(all.Named(name))
	var done []changedRun
	if err = run.RenameWith(ctx, name, trackio.RenameOptions{Force: f.force}); err != nil {
		err = named("renaming", run, err)
	} else {
		c := changedRun{Run: run.Name(), RunID: run.ID(), Project: run.Project(), FromRun: was.Name}
		newID := ""
		if was.ID != run.ID() {
			c.FromRunID = was.ID
			newID = fmt.Sprintf("; its id is now %s", clean(run.ID()))
		}
		done = append(done, c)
		if !f.json {
			a.linef("Renamed run %q (%s) of project %q to %q%s.", was.Name, clean(was.ID), was.Project, run.Name(), newID)
		}
		if was.Name != name && shared > 0 {
			a.warn("%s of project %q had the name %q already; tell them apart by --run-id", plural(shared, "other run"), was.Project, name)
		}
	}
	return a.finish("renamed", done, 1, f, err)
}
