package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say which program this is",
		Example: "  trackio version\n  trackio version --json",
		Args:    noArgs,
		RunE: a.begin(func(context.Context, []string) error {
			if asJSON {
				o := a.json()
				o.field("program", "trackio (Go)")
				o.field("version", a.env.Version.Version)
				o.field("commit", a.env.Version.Commit)
				o.field("go", a.env.Version.Go)
				return o.end()
			}
			a.linef("trackio %s (Go)", a.env.Version.Version)
			if a.env.Version.Commit != "" {
				a.linef("commit %s, %s", a.env.Version.Commit, a.env.Version.Go)
			}
			a.linef("This is the Go program that manages runs; it is not the trackio that pip installs.")
			return nil
		}),
	}
	addJSONFlag(cmd, &asJSON)
	return cmd
}
