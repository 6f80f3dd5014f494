package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func closeChecks() []Check {
	return []Check{
		{"close/twice", "Closing again does nothing.", closeTwice},
		{"close/calls-afterwards", "Close releases everything. Calls made afterwards fail", closeCallsAfterwards},
		{"close/calls-under-way", "calls under way end first or fail.", closeUnderWay},
		{"close/keeps-the-runs", "the run becomes visible, as a whole, before ImportRun returns nil", closeKeeps},
		{"capabilities/work", "As finds an optional capability of a backend.", capabilitiesWork},
	}
}

func closeTwice(_ context.Context, e *Env) error {
	for _, which := range []string{"first", "second", "third"} {
		if err := within(20*time.Second, "the "+which+" Close", e.Backend.Close); err != nil {
			return err
		}
	}
	return nil
}

func closeCallsAfterwards(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	if other == e.Backend {
		return notApplicable("the storage cannot be opened twice, so nobody could look")
	}
	ref, target := e.ref(), e.ref()
	want := full(e.Key(), "kept").delivered()
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	records := e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{})
	if err := e.Backend.Close(); err != nil {
		return fmt.Errorf("Close: %w", err)
	}
	for name, err := range callAll(ctx, e.Backend, ref, target, want) {
		if err := anyError(ctx, name+" after Close", err); err != nil {
			return err
		}
	}
	_, _, err = read(records, true)
	if err := anyError(ctx, "a loop that begins after Close", err); err != nil {
		return err
	}
	if err := holds(ctx, other, ref, want); err != nil {
		return fmt.Errorf("through another handle, after calls on a closed one: %w", err)
	}
	return noProject(ctx, other, target.Project)
}

func closeUnderWay(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := bulky(e.Key())
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	closed := make(chan error, 1)
	n := 0
	got, _, err := read(func(yield func(trackio.Record, error) bool) {
		for record, err := range e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{}) {
			if n++; n == 2 {
				go func() { closed <- e.Backend.Close() }()
				select { // Close may wait for this loop, or not
				case err := <-closed:
					closed <- err
				case <-time.After(100 * time.Millisecond):
				}
			}
			if !yield(record, err) {
				return
			}
		}
	}, true)
	if err == nil {
		if err := diff(want, got); err != nil {
			return fmt.Errorf("ExportRun, with a Close in the middle, ended without an error, but is not whole: %w", err)
		}
	}
	return within(20*time.Second, "Close, when the last loop is over,", func() error { return <-closed })
}

func closeKeeps(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := full(e.Key(), "kept")
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	if err := e.Backend.Close(); err != nil {
		return fmt.Errorf("Close: %w", err)
	}
	reopened, err := e.Second(ctx)
	if err != nil {
		return err
	}
	if reopened == e.Backend {
		return notApplicable("the storage cannot be opened twice, not even after Close")
	}
	return holds(ctx, reopened, ref, want)
}

// capabilitiesWork calls what the backend says it can do.
func capabilitiesWork(ctx context.Context, e *Env) error {
	ref, target := e.ref(), e.Project()
	if _, err := put(ctx, e.Backend, ref, full(e.Key(), "capable").delivered()); err != nil {
		return err
	}
	supported := func(what string, err error) error {
		if errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("%s is offered as a capability, and answers that it is not supported: %w", what, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	var errs []error
	if lister, ok := trackio.As[trackio.AlertLister](e.Backend); ok {
		_, err := collect(lister.ListAlerts(ctx, ref.Project, trackio.AlertOptions{}))
		errs = append(errs, supported("AlertLister", err))
	}
	if summarizer, ok := trackio.As[trackio.Summarizer](e.Backend); ok {
		_, err := summarizer.SummarizeRun(ctx, ref)
		errs = append(errs, supported("Summarizer", err))
	}
	if renamer, ok := trackio.As[trackio.Renamer](e.Backend); ok {
		_, err := renamer.RenameRun(ctx, ref, "renamed", trackio.RenameOptions{})
		errs = append(errs, supported("Renamer", err))
	}
	if examiner, ok := trackio.As[trackio.Examiner](e.Backend); ok {
		_, err := collect(examiner.Examine(ctx, trackio.ExamineOptions{}))
		errs = append(errs, supported("Examiner", err))
	}
	if collector, ok := trackio.As[trackio.Collector](e.Backend); ok {
		_, err := collect(collector.Collect(ctx, trackio.CollectOptions{DryRun: true}))
		errs = append(errs, supported("Collector", err))
	}
	if changer, ok := trackio.As[trackio.BulkChanger](e.Backend); ok {
		change := trackio.Change{Run: ref, Kind: trackio.ChangeRename, Name: "renamed again"}
		_, err := collect(changer.ChangeRuns(ctx, []trackio.Change{change}))
		errs = append(errs, supported("BulkChanger", err))
	}
	if mover, ok := trackio.As[trackio.Mover](e.Backend); ok {
		_, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{})
		errs = append(errs, supported("Mover", err))
	}
	if deleter, ok := trackio.As[trackio.ProjectDeleter](e.Backend); ok {
		doomed := e.ref()
		if _, err := put(ctx, e.Backend, doomed, small(e.Key(), "doomed")); err != nil {
			return err
		}
		errs = append(errs, supported("ProjectDeleter", deleter.DeleteProject(ctx, doomed.Project, trackio.DeleteOptions{})))
	}
	return errors.Join(errs...)
}
