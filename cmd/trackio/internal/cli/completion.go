package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long: `Print a script that completes commands, flags, and the names of projects, runs,
metrics and backends.

  bash        source <(trackio completion bash)   (needs the package bash-completion)
  zsh         source <(trackio completion zsh)
  fish        trackio completion fish | source
  powershell  trackio completion powershell | Out-String | Invoke-Expression

Put the line into the start-up file of the shell to have it always.`,
		Example:   "  source <(trackio completion bash)",
		Args:      oneShell,
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.started = true
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
		},
	}
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

func oneShell(_ *cobra.Command, args []string) error {
	if len(args) == 1 && slices.Contains(shells, args[0]) {
		return nil
	}
	return trackio.Errorf(trackio.ErrInvalid, "trackio completion needs the name of one shell").
		WithHint("such as: trackio completion bash; it knows %s", strings.Join(shells, ", "))
}

// completionTime is how long a person waits for the Tab key. Whatever is not
// known by then is not offered.
const completionTime = 3 * time.Second

// complete registers the names that a flag can take.
func (a *app) complete(cmd *cobra.Command, flag string, names func(cmd *cobra.Command, word string) []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		var offered []string
		for _, name := range names(cmd, word) {
			if strings.HasPrefix(name, word) && clean(name) == name {
				offered = append(offered, name)
			}
		}
		slices.Sort(offered)
		return slices.Compact(offered), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // a flag that does not exist: a mistake in this package
	}
}

// fromStorage runs a question for a completion. It is silent: errors offer
// nothing.
func (a *app) fromStorage(cmd *cobra.Command, ask func(ctx context.Context, b trackio.Backend) []string) []string {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(trackio.WithNotes(ctx, func(string) {}), completionTime)
	defer cancel()
	b, err := a.env.Storage.Open(ctx, a.selection())
	if err != nil {
		return nil
	}
	names := ask(ctx, b)
	_ = b.Close() // it is the end of a question, not of a change
	return names
}

func (a *app) completeBackends(cmd *cobra.Command, _ string) []string {
	config, err := a.env.Storage.Config(cmd.Context(), a.selection())
	if err != nil {
		return nil
	}
	var names []string
	for _, b := range config.Backends {
		names = append(names, b.Name)
	}
	return names
}

func (a *app) completeProjects(cmd *cobra.Command, _ string) []string {
	return a.fromStorage(cmd, func(ctx context.Context, b trackio.Backend) []string {
		projects, _ := trackio.New(b).Projects(ctx)
		return projects
	})
}

func (a *app) completeRuns(cmd *cobra.Command, _ string) []string {
	return a.completeFromRuns(cmd, (*trackio.Run).Name)
}

func (a *app) completeRunIDs(cmd *cobra.Command, _ string) []string {
	return a.completeFromRuns(cmd, (*trackio.Run).ID)
}

func (a *app) completeFromRuns(cmd *cobra.Command, pick func(*trackio.Run) string) []string {
	return a.fromStorage(cmd, func(ctx context.Context, b trackio.Backend) []string {
		runs, err := trackio.New(b).Runs(ctx, flagText(cmd, "project"))
		if err != nil {
			return nil
		}
		var names []string
		for run := range runs.All() {
			names = append(names, pick(run))
		}
		return names
	})
}

func (a *app) completeMetrics(cmd *cobra.Command, _ string) []string {
	return a.completeFromSummary(cmd, func(s trackio.Summary) []string { return s.MetricNames })
}

func (a *app) completeSystemMetrics(cmd *cobra.Command, _ string) []string {
	return a.completeFromSummary(cmd, func(s trackio.Summary) []string { return s.SystemMetrics })
}

func (a *app) completeFromSummary(cmd *cobra.Command, pick func(trackio.Summary) []string) []string {
	return a.fromStorage(cmd, func(ctx context.Context, b trackio.Backend) []string {
		runs, err := trackio.New(b).Runs(ctx, flagText(cmd, "project"))
		if err != nil {
			return nil
		}
		run, ok := runs.ByID(flagText(cmd, "run-id"))
		if named := runs.Named(flagText(cmd, "run")); !ok && len(named) > 0 {
			run, ok = named[len(named)-1], true
		}
		if !ok {
			if run, ok = runs.ByID(flagText(cmd, "run")); !ok {
				return nil
			}
		}
		s, err := summarize(ctx, b, run)
		if err != nil {
			return nil
		}
		return pick(s)
	})
}

func flagText(cmd *cobra.Command, name string) string {
	if flag := cmd.Flags().Lookup(name); flag != nil {
		return flag.Value.String()
	}
	return ""
}
