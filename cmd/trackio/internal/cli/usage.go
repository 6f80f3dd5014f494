package cli

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trackio-go/trackio/trackio"
)

// usageError is a mistake in the command line in words that need no knowledge of
// the libraries that found it.
func usageError(cmd *cobra.Command, err error) error {
	message, hint := err.Error(), "see "+cmd.CommandPath()+" --help"
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "int64":
		message = "--" + invalid.GetFlag().Name + " takes a whole number, not \"" + invalid.GetValue() + "\""
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == spanType:
		message = "--" + invalid.GetFlag().Name + " takes a span of time such as 0s, 90m, 24h or 7d, not \"" + invalid.GetValue() + "\""
	case missingFlags.MatchString(message):
		names := flagNames(missingFlags.FindStringSubmatch(message)[1])
		message = cmd.CommandPath() + " needs " + strings.Join(names, " and ")
		if slices.Contains(names, "--project") {
			hint = "trackio list projects shows what there is; " + hint
		}
	case oneMissing.MatchString(message):
		message = cmd.CommandPath() + " needs " + strings.Join(flagNames(oneMissing.FindStringSubmatch(message)[1]), " or ")
	case notTogether.MatchString(message):
		message = strings.Join(flagNames(notTogether.FindStringSubmatch(message)[1]), " and ") + " cannot be given together"
	}
	return trackio.Errorf(trackio.ErrInvalid, "%s", message).WithHint("%s", hint)
}

// What cobra says; another wording is printed as it stands.
var (
	missingFlags = regexp.MustCompile(`^required flag\(s\) (.+) not set$`)
	oneMissing   = regexp.MustCompile(`^at least one of the flags in the group \[(.+)\] is required$`)
	notTogether  = regexp.MustCompile(`^if any flags in the group \[(.+)\] are set none of the others can be; `)
)

// flagNames takes the names out of such a message.
func flagNames(list string) []string {
	names := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(`", `, r) })
	for i, name := range names {
		names[i] = "--" + name
	}
	return names
}

// noArgs refuses words beside the flags, and says which flag such a word is for.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := trackio.Errorf(trackio.ErrInvalid, "%s takes only flags, not %q", cmd.CommandPath(), args[0])
	for _, name := range []string{"run", "project"} {
		if flag := cmd.Flags().Lookup(name); flag != nil && !flag.Changed {
			return err.WithHint("did you mean --%s %s?", name, shellWord(args[0]))
		}
	}
	return err.WithHint("see %s --help", cmd.CommandPath())
}

// notEmpty refuses an empty value of a flag that names a project: it would mean
// the project "default", but comes from a variable that is not set.
func notEmpty(cmd *cobra.Command) error {
	for _, name := range []string{"project", "to"} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed && flag.Value.String() == "" {
			return trackio.Errorf(trackio.ErrInvalid, "--%s is empty", name).WithHint("name a project")
		}
	}
	return nil
}
