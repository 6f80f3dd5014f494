package cli

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

func (a *app) doctorCommand() *cobra.Command {
	var fix, asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with a storage, and mend it",
		Long: `Look for what is wrong with a storage, such as a move that was interrupted by a
power cut. Nothing is changed without --fix.

With --fix it finishes or undoes interrupted operations, as the next change of
the project concerned would. It never deletes the last copy of anything: what
cannot be decided is left as it is and reported.

Exit codes:
  0    nothing is wrong, or all of it has been fixed
  8    something is wrong and not fixed
  9    the backend cannot examine its storage
  Any other code: the examination itself failed; what was found is printed.`,
		Example: `  trackio doctor
  trackio doctor --fix
  trackio doctor --backend team --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.doctor(ctx, b, fix, asJSON) }),
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "finish or undo interrupted operations")
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// findingJSON is a finding in JSON.
type findingJSON struct {
	Kind    string  `json:"kind"`
	Project *string `json:"project"`
	RunID   *string `json:"run_id"`
	Message string  `json:"message"`
	Hint    *string `json:"hint"`
	Fixed   bool    `json:"fixed"`
}

func (a *app) doctor(ctx context.Context, b trackio.Backend, fix, asJSON bool) error {
	examiner, ok := trackio.As[trackio.Examiner](b)
	if !ok {
		hint := "trackio backends shows whether it opens"
		if _, collects := trackio.As[trackio.Collector](b); collects {
			hint += "; trackio gc removes what interrupted changes have left"
		}
		return trackio.Errorf(errors.ErrUnsupported, "this backend cannot examine its storage").WithHint("%s", hint)
	}
	var found []trackio.Finding
	var failed error
	for finding, err := range examiner.Examine(ctx, trackio.ExamineOptions{Fix: fix}) {
		if err != nil {
			failed = err
			break
		}
		found = append(found, finding)
	}
	if failed != nil && len(found) == 0 {
		return failed
	}
	slices.SortStableFunc(found, func(x, y trackio.Finding) int {
		return cmp.Or(cmp.Compare(x.Project, y.Project), cmp.Compare(x.RunID, y.RunID),
			cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Message, y.Message))
	})
	verdict := failed
	if verdict == nil {
		verdict = diagnosis(found, fix)
	}
	var err error
	if asJSON {
		err = a.printFindingsJSON(found, verdict == nil)
	} else {
		err = a.printFindings(found, verdict == nil)
	}
	if flushErr := a.out.Flush(); err == nil {
		err = flushErr
	}
	return cmp.Or(err, verdict)
}

// diagnosis is the error that an examination ends with, nil when nothing is left
// wrong.
func diagnosis(found []trackio.Finding, fix bool) error {
	left, interrupted := 0, false
	for _, f := range found {
		if !f.Fixed {
			left++
			interrupted = interrupted || f.Kind == trackio.FindingOperation
		}
	}
	switch {
	case left == 0:
		return nil
	case interrupted && !fix:
		return trackio.Errorf(trackio.ErrDataLoss, "%s with this storage", isWrong(left)).
			WithHint("trackio doctor --fix finishes or undoes what was interrupted")
	case left < len(found):
		return trackio.Errorf(trackio.ErrDataLoss, "%s with this storage; %d fixed", isWrong(left), len(found)-left)
	}
	return trackio.Errorf(trackio.ErrDataLoss, "%s with this storage", isWrong(left))
}

func isWrong(n int) string {
	if n == 1 {
		return "1 thing is wrong"
	}
	return plural(n, "thing") + " are wrong"
}

func (a *app) printFindingsJSON(found []trackio.Finding, healthy bool) error {
	o := a.json()
	err := o.list("findings", func(add func(any) error) error {
		for _, f := range found {
			if err := add(findingJSON{
				Kind: f.Kind, Project: nullable(f.Project), RunID: nullable(f.RunID),
				Message: f.Message, Hint: nullable(f.Hint), Fixed: f.Fixed,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.field("healthy", healthy)
	return o.end()
}

// printFindings prints the table of findings, and each way out once. Nothing is
// cut; on a terminal long texts are continued under themselves. What is wrong
// names project and run, so they need no columns.
func (a *app) printFindings(found []trackio.Finding, healthy bool) error {
	if len(found) == 0 {
		a.linef("Nothing is wrong with this storage.")
		return nil
	}
	kinds := 0
	for _, f := range found {
		kinds = max(kinds, runewidth.StringWidth(clean(f.Kind)))
	}
	const states = len("STATE  ")
	room := a.env.Width - states - kinds - len("  ")
	t := a.table(0, nil, "STATE", "KIND", "WHAT IS WRONG")
	t.limit = 0
	var hints []string
	for _, f := range found {
		state := "open"
		if f.Fixed {
			state = "fixed"
		} else if f.Hint != "" && !slices.Contains(hints, f.Hint) {
			hints = append(hints, f.Hint)
		}
		lines := wrapWords(clean(f.Message), room)
		if err := t.row(state, clean(f.Kind), lines[0]); err != nil {
			return err
		}
		for _, line := range lines[1:] {
			if err := t.row("", "", line); err != nil {
				return err
			}
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	const label = "hint:"
	for _, hint := range hints {
		lines := wrapWords(clean(hint), a.env.Width-len(label)-1)
		a.linef("%s %s", a.paint().dim(label), strings.Join(lines, "\n"+strings.Repeat(" ", len(label)+1)))
	}
	if healthy {
		a.linef("All of it is fixed.")
	}
	return nil
}

// wrapWords breaks a text into lines of a width, between words alone. Where there
// is no room for that it is one line.
func wrapWords(text string, width int) []string {
	if width < 20 {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case runewidth.StringWidth(line)+1+runewidth.StringWidth(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
