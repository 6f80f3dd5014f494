package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// rootCommand builds the grammar.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "trackio",
		Short: "Manage the experiment runs of Trackio on any storage",
		Long: `Manage the experiment runs of Trackio: list, read, move, copy, rename and
delete them, in the directory that Python Trackio writes or in any other
configured storage. Without any configuration it works on the local Trackio
directory.`,
		Example: `  trackio demo                             see it work, in a directory of its own
  trackio list projects
  trackio list runs --project mnist
  trackio get metric --project mnist --run first --metric loss --json
  trackio move run --project mnist --run first --to archive`,
		Version:       a.env.Version.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          a.onlyGroup,
	}
	root.SetHelpCommand(&cobra.Command{Use: "help [command]", Short: "Explain a command", RunE: a.help})
	root.SetFlagErrorFunc(usageError)
	root.SetVersionTemplate("trackio {{.Version}} (Go)\n")
	root.SetHelpCommandGroupID("setup")
	root.CompletionOptions.DisableDefaultCmd = true
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddGroup(
		&cobra.Group{ID: "read", Title: "Read:"},
		&cobra.Group{ID: "change", Title: "Change:"},
		&cobra.Group{ID: "setup", Title: "Set up:"},
	)

	flags := root.PersistentFlags()
	flags.StringVar(&a.sel.Backend, "backend", "", "`name` of the configured backend (TRACKIO_BACKEND)")
	flags.StringVar(&a.sel.Config, "config", "", "configuration `file` (TRACKIO_CONFIG)")
	flags.CountVarP(&a.sel.Verbose, "verbose", "v", "log on stderr, twice for more (TRACKIO_LOG=debug)")
	flags.BoolVar(&a.noColor, "no-color", false, "no colour, also on a terminal (NO_COLOR)")
	a.addPythonFlags(root)
	a.complete(root, "backend", a.completeBackends)
	_ = root.MarkPersistentFlagFilename("config", "hcl")

	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("read", a.listCommand(), a.getCommand())
	add("change", a.moveCommand(), a.copyCommand(), a.renameCommand(), a.deleteCommand())
	add("setup", a.backendsCommand(), a.configCommand(), a.doctorCommand(), a.gcCommand(), a.demoCommand(), a.completionCommand(), a.versionCommand())
	a.addPythonCommands(root)

	root.SetUsageTemplate(root.UsageTemplate() + "{{if not .HasParent}}\nExit codes:\n" + exitTable() + "\n{{end}}")
	return root
}

// group makes a command that only holds others: alone it shows its help, and a
// word that it does not know is an error with the nearest one, whatever flags
// follow.
func (a *app) group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: a.onlyGroup,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
}

func (a *app) onlyGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		if !cmd.HasParent() {
			return cmd.Help()
		}
		cmd.SetOut(a.env.Stderr)
		if err := cmd.Help(); err != nil {
			return err
		}
		return trackio.Errorf(trackio.ErrInvalid, "%s needs to know what", cmd.CommandPath())
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	err := trackio.Errorf(trackio.ErrInvalid, "there is no command %s %s", cmd.CommandPath(), args[0])
	if near := nearest(args[0], names); near != "" {
		return err.WithHint("did you mean %s %s?", cmd.CommandPath(), near)
	}
	return err.WithHint("see %s --help", cmd.CommandPath())
}

// help explains the command named by the arguments.
func (a *app) help(cmd *cobra.Command, args []string) error {
	target, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return trackio.Errorf(trackio.ErrInvalid, "unknown help topic %q", args).WithHint("see trackio --help")
	}
	target.InitDefaultHelpFlag()
	return target.Help()
}

// nearest returns the candidate that is nearly the word, "" when none is.
func nearest(word string, candidates []string) string {
	best, least := "", max(1, len([]rune(word))/3)+1
	for _, c := range candidates {
		if d := distance([]rune(word), []rune(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of edits that turn one text into the other, a swap of
// neighbours counting as one.
func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// suggest adds the nearest existing name to a not-found error. The very word
// among the names is a thing that is listed and cannot be read: no typing error.
func suggest(err error, flag, word string, names []string) error {
	near := nearest(word, names)
	if near == "" || near == word || trackio.KindOf(err) != trackio.ErrNotFound {
		return err
	}
	return trackio.Errorf(trackio.ErrNotFound, "%w", err).WithHint("did you mean --%s %s?", flag, shellWord(near))
}

// shellWord writes a word as a person would type it in a shell.
func shellWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
	if word != "" && !slices.ContainsFunc([]rune(word), func(r rune) bool {
		return r < 0x80 && !slices.Contains([]rune(plain), r) || !shows(r)
	}) {
		return word
	}
	return fmt.Sprintf("'%s'", escapeQuotes(word))
}
