package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// gcFlags are the flags of gc.
type gcFlags struct {
	grace  timeSpan
	dryRun bool
	json   bool
}

func (a *app) gcCommand() *cobra.Command {
	f := gcFlags{grace: timeSpan{24 * time.Hour, "24h"}}
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what interrupted changes have left in a storage",
		Long: `Remove what no run refers to: what changes that were interrupted, and copies
that came to nothing, have left in a storage. What belongs to a run is never
touched.

What is younger than --grace is left alone. With any grace, 0s included, it is
safe while others write: an import under way whose data is removed fails and
leaves nothing. Interrupted, it can be started again.

Exit codes:
  0    done, also when there was nothing to remove
  2    --grace is no span of time
  9    the backend has nothing like this to remove
  Any other code: it failed on the way; what is printed is gone.`,
		Example: `  trackio gc --dry-run
  trackio gc --grace 7d
  trackio gc --backend team --grace 0s --json`,
		Args: noArgs,
		RunE: a.onBackend(func(ctx context.Context, b trackio.Backend) error { return a.gc(ctx, b, f) }),
	}
	cmd.Flags().Var(&f.grace, "grace", "leave alone what is younger than this `span`, such as 0s, 90m, 24h or 7d")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be removed")
	addJSONFlag(cmd, &f.json)
	return cmd
}

// collectedJSON is one removed thing in JSON.
type collectedJSON struct {
	Kind    string  `json:"kind"`
	Name    string  `json:"name"`
	Since   *string `json:"since"` // null when it is not known
	Objects int64   `json:"objects"`
	Bytes   int64   `json:"bytes"`
}

func (a *app) gc(ctx context.Context, b trackio.Backend, f gcFlags) error {
	collector, ok := trackio.As[trackio.Collector](b)
	if !ok {
		return trackio.Errorf(errors.ErrUnsupported, "this backend does not collect what no run refers to").
			WithHint("what was interrupted is finished or undone by trackio doctor --fix")
	}
	var (
		gone           []trackio.Garbage
		objects, bytes int64
		failed         error
		things         atomic.Int64
	)
	stop := a.whileLong(func() string { return fmt.Sprintf("still collecting; %s so far", plural(things.Load(), "thing")) })
	for g, err := range collector.Collect(ctx, trackio.CollectOptions{Grace: f.grace.span, DryRun: f.dryRun}) {
		if err != nil {
			failed = err
			break
		}
		gone = append(gone, g)
		objects += g.Objects
		bytes += g.Bytes
		things.Add(1)
	}
	stop()
	if trackio.KindOf(failed) == trackio.ErrBackendDied && trackio.HintOf(failed) == "" {
		failed = trackio.Errorf(trackio.ErrBackendDied, "%w", failed).WithHint("start it again: it goes on where it ended")
	}
	if failed != nil && len(gone) == 0 {
		return failed
	}
	var err error
	if f.json {
		err = a.printCollectedJSON(gone, objects, bytes, f.dryRun)
	} else {
		err = a.printCollected(gone, objects, bytes, f)
	}
	if flushErr := a.out.Flush(); err == nil {
		err = flushErr
	}
	if err == nil {
		err = failed
	}
	return err
}

// progressTime is how long something takes before it says how far it is, and how
// often it then does.
const progressTime = 5 * time.Second

// whileLong says on stderr how far something is that takes long, until stop is
// called.
func (a *app) whileLong(progress func() string) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		ticker := time.NewTicker(progressTime)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				a.say("", "%s", progress())
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-over
	}
}

func (a *app) printCollectedJSON(gone []trackio.Garbage, objects, bytes int64, dryRun bool) error {
	o := a.json()
	err := o.list("collected", func(add func(any) error) error {
		for _, g := range gone {
			c := collectedJSON{Kind: g.Kind, Name: g.Name, Objects: g.Objects, Bytes: g.Bytes}
			if !g.Since.IsZero() {
				c.Since = nullable(trackio.FormatTime(g.Since))
			}
			if err := add(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.field("objects", objects)
	o.field("bytes", bytes)
	o.field("dry_run", dryRun)
	return o.end()
}

func (a *app) printCollected(gone []trackio.Garbage, objects, bytes int64, f gcFlags) error {
	if len(gone) == 0 {
		older := ""
		if f.grace.span > 0 {
			older = " that is older than " + f.grace.text
		}
		a.linef("There is nothing to collect%s.", older)
		return nil
	}
	t := a.table(1, []int{3, 4}, "KIND", "NAME", "AGE", "OBJECTS", "SIZE")
	for _, g := range gone {
		if err := t.row(clean(g.Kind), clean(g.Name), a.env.age(g.Since), strconv.FormatInt(g.Objects, 10), bytesText(g.Bytes)); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	did := "Removed"
	if f.dryRun {
		did = "Would remove"
	}
	a.linef("%s %s: %s of %s.", did, plural(len(gone), "thing"), plural(objects, "object"), bytesText(bytes))
	return nil
}

// timeSpan is the value of a flag: a span of time that is not negative, such as
// 90m or 7d.
type timeSpan struct {
	span time.Duration
	text string // as it was given
}

// spanType is the type of such a flag.
const spanType = "span"

func (s *timeSpan) String() string { return s.text }
func (s *timeSpan) Type() string   { return spanType }

func (s *timeSpan) Set(text string) error {
	span, err := parseSpan(text)
	if err == nil {
		s.span, s.text = span, text
	}
	return err
}

// parseSpan reads what [time.ParseDuration] reads, and whole days before it.
func parseSpan(text string) (time.Duration, error) {
	const day, maxDays = 24 * time.Hour, 100_000
	errNoSpan := errors.New("not a span of time such as 0s, 90m, 24h or 7d")
	var days uint64
	rest := text
	if count, after, found := strings.Cut(text, "d"); found {
		var err error
		if days, err = strconv.ParseUint(count, 10, 64); err != nil || days > maxDays {
			return 0, errNoSpan
		}
		if rest = after; rest == "" {
			rest = "0"
		}
	}
	span, err := time.ParseDuration(rest)
	if err != nil || span < 0 {
		return 0, errNoSpan
	}
	if span += time.Duration(days) * day; span < 0 {
		return 0, errNoSpan
	}
	return span, nil
}
