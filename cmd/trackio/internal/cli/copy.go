package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// copyFlags are the flags of copy run.
type copyFlags struct {
	changeFlags
	to    string
	newID bool
}

func (a *app) copyCommand() *cobra.Command {
	cmd := a.group("copy", "Copy runs to another project, or under a new id")
	var f copyFlags
	run := &cobra.Command{
		Use:     "run",
		Aliases: []string{"runs"},
		Short:   "Copy runs with everything that belongs to them",
		Long: `Copy runs to another project of the same storage, which is created when it is
new: metrics, config, system metrics, alerts, traces and media. Every row and
every file of a copy is compared with the run before it counts as made.

A copy keeps name and id, so a project can have it once. With --new-id it is a
run of its own, also beside the first in one project: it gets a random id, and
none of the ids by which Trackio knows what it has sent to a Space. Nothing of it
is delivered to one, so rows that wait for that do not stand against it.`,
		Example: `  trackio copy run --project mnist --run first --to archive
  trackio copy run --project mnist --run first --new-id
  trackio copy runs --project mnist --run first --run second --to archive --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.copyRuns(ctx, b, f) }),
	}
	a.addChangeFlags(run, &f.changeFlags)
	run.Flags().Lookup("force").Usage = "also when rows of the run are not delivered to its Space yet; not needed with --new-id"
	run.Flags().StringVar(&f.to, "to", "", "`project` to copy to (default: that of the run)")
	run.Flags().BoolVar(&f.newID, "new-id", false, "give the copy a new, random id")
	a.complete(run, "to", a.completeProjects)
	cmd.AddCommand(run)
	return cmd
}

func (a *app) copyRuns(ctx context.Context, b trackio.Backend, f copyFlags) error {
	m := &measured{Backend: b}
	all, err := a.runs(ctx, m, f.project, trackio.ListOptions{})
	if err != nil {
		return err
	}
	runs, err := a.runsToChange(all, f.runs, f.runIDs)
	if err != nil {
		return err
	}
	if f.to == "" {
		f.to = all.Project()
	}
	var done []changedRun
	for _, run := range runs {
		var c changedRun
		if c, err = copyRun(ctx, m, run, f); err != nil {
			break
		}
		done = append(done, c)
		if !f.json {
			a.linef("Copied run %q (%s) %s: %s.", run.Name(), clean(run.ID()), c.way(), c.runSize)
		}
	}
	return a.finish("copied", done, len(runs), f.changeFlags, err)
}

func copyRun(ctx context.Context, m *measured, run *trackio.Run, f copyFlags) (changedRun, error) {
	opts := trackio.CopyOptions{Force: f.force}
	if f.newID {
		opts.ID = randomID()
	}
	m.size = &runSize{}
	made, err := run.Copy(ctx, trackio.New(m), f.to, opts)
	if err != nil {
		return changedRun{}, namesNewID(named("copying", run, err), f.newID)
	}
	c := changedRun{Run: made.Name(), RunID: made.ID(), Project: made.Project(), FromProject: run.Project(), runSize: m.size}
	if made.ID() != run.ID() {
		c.FromRunID = run.ID()
	}
	return c, nil
}

// way says from where to where a copy went.
func (c changedRun) way() string {
	way := fmt.Sprintf("from project %q to %q", c.FromProject, c.Project)
	if c.Project == c.FromProject {
		way = fmt.Sprintf("within project %q", c.Project)
	}
	if c.FromRunID != "" {
		way += "; the id of the copy is " + clean(c.RunID)
	}
	return way
}

// namesNewID makes the error of a place that is taken say what the way out is
// called here.
func namesNewID(err error, newID bool) error {
	if newID || trackio.KindOf(err) != trackio.ErrExists {
		return err
	}
	hint := "--to names another project, --new-id makes a copy with an id of its own"
	if said := trackio.HintOf(err); said != "" {
		hint = said + " (" + hint + ")"
	}
	return trackio.Errorf(trackio.ErrExists, "%w", err).WithHint("%s", hint)
}

// randomID returns a new run id of the kind that Python Trackio gives: the hex
// digits of a random UUID.
func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}

// runSize is how much a run holds.
type runSize struct {
	Rows    int64 `json:"rows"`
	Files   int64 `json:"files"`
	Bytes   int64 `json:"bytes"`         // of the files
	Missing int64 `json:"missing_files"` // that rows refer to and that are not there
}

func (s *runSize) add(record trackio.Record) {
	switch r := record.(type) {
	case *trackio.Metrics:
		s.Rows += int64(len(r.Rows))
	case *trackio.SystemMetrics:
		s.Rows += int64(len(r.Rows))
	case *trackio.Alerts:
		s.Rows += int64(len(r.Rows))
	case *trackio.Traces:
		s.Rows += int64(len(r.Rows))
	case *trackio.Media:
		if r.Missing {
			s.Missing++
			return
		}
		s.Files++
		s.Bytes += r.Size
	}
}

func (s *runSize) String() string {
	text := plural(s.Rows, "row") + ", " + plural(s.Files, "file")
	if s.Files > 0 {
		text += " of " + bytesText(s.Bytes)
	}
	if s.Missing > 0 {
		text += fmt.Sprintf(" (%d more missing in the run itself)", s.Missing)
	}
	return text
}

// bytesText is a size for people.
func bytesText(n int64) string {
	if n < 1000 {
		return plural(n, "byte")
	}
	size, unit := float64(n)/1000, 0
	for units := "kMGTPE"; ; unit++ {
		if size < 999.5 || unit == len(units)-1 {
			return fmt.Sprintf("%.3g %cB", size, units[unit])
		}
		size /= 1000
	}
}

// measured is a backend that notes how much goes into the latest import.
type measured struct {
	trackio.Backend
	size *runSize
}

// As hides the optional capabilities: a copy needs none.
func (*measured) As(any) bool { return false }

func (m *measured) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	return m.Backend.ImportRun(ctx, ref, func(yield func(trackio.Record, error) bool) {
		for record, err := range records {
			if err == nil {
				m.size.add(record)
			}
			if !yield(record, err) {
				return
			}
		}
	})
}
