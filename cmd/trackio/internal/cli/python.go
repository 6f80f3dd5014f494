package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// pythonOnly are the commands that only Python's trackio has, by the command
// they belong to.
var pythonOnly = []struct {
	parent   string
	commands []string
}{
	{"", []string{"show", "sync", "status", "freeze", "query", "skills", "registry", "logbook", "bump"}},
	{"list", []string{"spaces", "artifacts", "traces"}},
	{"get", []string{"artifact", "trace", "trace-summary"}},
	{"config", []string{"get", "set", "unset"}},
}

// addPythonCommands makes those commands answer where to find them: both
// programs have the same name, and habits know no difference.
func (a *app) addPythonCommands(root *cobra.Command) {
	for _, group := range pythonOnly {
		parent := root
		if group.parent != "" {
			parent, _, _ = root.Find([]string{group.parent})
		}
		for _, name := range group.commands {
			words := strings.TrimSpace(group.parent + " " + name)
			parent.AddCommand(&cobra.Command{
				Use:                name,
				Hidden:             true,
				DisableFlagParsing: true,
				RunE: func(_ *cobra.Command, args []string) error {
					a.started = true
					return onlyInPython("the command " + words)
				},
			})
		}
	}
}

// addPythonFlags makes Python's global flags answer likewise.
func (a *app) addPythonFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("space", "", "")
	flags.String("hf-token", "", "")
	_ = flags.MarkHidden("space")
	_ = flags.MarkHidden("hf-token")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"space", "hf-token"} {
			if cmd.Flags().Changed(name) {
				return onlyInPython("the flag --" + name)
			}
		}
		return notEmpty(cmd)
	}
}

func onlyInPython(what string) error {
	return trackio.Errorf(errors.ErrUnsupported, "%s belongs to Python's trackio; this is the Go program of that name", what).
		WithHint("install it with pip install trackio, and run the trackio command of that Python environment")
}
