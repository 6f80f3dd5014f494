package backendtest

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func iteratorChecks() []Check {
	const once = "Iterators do nothing before the loop begins, yield at most one error, as their last item, release everything when the loop is left, and are used once."
	return []Check{
		{"iterators/lazy", once, iteratorsLazy},
		{"iterators/left-early", once, iteratorsLeftEarly},
		{"iterators/error-last", once, iteratorsErrorLast},
		{"context/cancelled-before", "A failed or cancelled call has changed nothing, or has happened completely.", cancelledBefore},
		{"context/cancelled-export", "A stream that ends without an error is whole", cancelledExport},
	}
}

// iteratorsLazy makes the iterators before there is anything to find.
func iteratorsLazy(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := full(e.Key(), "later")
	projects := e.Backend.ListProjects(ctx)
	runs := e.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{})
	records := e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{})
	var alerts iter.Seq2[trackio.Alert, error]
	if lister, ok := trackio.As[trackio.AlertLister](e.Backend); ok {
		alerts = lister.ListAlerts(ctx, ref.Project, trackio.AlertOptions{})
	}
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	found := false
	for project, err := range projects {
		if err != nil {
			return fmt.Errorf("ListProjects: %w", err)
		}
		found = found || project == ref.Project
	}
	if !found {
		return fmt.Errorf("ListProjects, called before an import and looped over after it, does not know of it: it read too early")
	}
	infos, err := collect(runs)
	if err != nil || len(infos) != 1 {
		return fmt.Errorf("ListRuns, called before an import and looped over after it, yields %d runs and the error %v, want the run: it read too early", len(infos), err)
	}
	got, _, err := read(records, true)
	if err != nil {
		return fmt.Errorf("ExportRun, called before an import and looped over after it: %w", err)
	}
	if err := diff(want, got); err != nil {
		return fmt.Errorf("ExportRun, called before an import and looped over after it: %w", err)
	}
	if alerts == nil {
		return nil
	}
	rows, err := collect(alerts)
	if err != nil || len(rows) != len(want.alerts) {
		return fmt.Errorf("ListAlerts, called before an import and looped over after it, yields %d alerts and the error %v, want %d: it read too early", len(rows), err, len(want.alerts))
	}
	return nil
}

// bulky returns a run that no buffer on the way holds in full.
func bulky(key string) run {
	r := withMedia(key, "bulky", newFile("0/a.bin", noise(10, 3<<20)), newFile("1/b.bin", noise(11, 3<<20)))
	for i := range 3000 {
		r.metrics = append(r.metrics, metricsRow(key, 10+i, fmt.Sprintf(`{"i":%d,"text":"%0200d"}`, i, i)))
	}
	return r
}

func iteratorsLeftEarly(ctx context.Context, e *Env) error {
	project := e.Project()
	for _, after := range []int{1, 2, 5} {
		ref, beside := trackio.RunRef{Project: project, ID: e.Key()}, trackio.RunRef{Project: project, ID: e.Key()}
		if _, err := put(ctx, e.Backend, ref, bulky(e.Key())); err != nil {
			return err
		}
		if _, err := put(ctx, e.Backend, beside, full(e.Key(), "beside").delivered()); err != nil {
			return err
		}
		n := 0
		for _, err := range e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{}) {
			if err != nil {
				return fmt.Errorf("ExportRun(%s): %w", at(ref), err)
			}
			if n++; n == after {
				break
			}
		}
		for _, err := range e.Backend.ListRuns(ctx, project, trackio.ListOptions{}) {
			if err != nil {
				return fmt.Errorf("ListRuns: %w", err)
			}
			break
		}
		for _, err := range e.Backend.ListProjects(ctx) {
			if err != nil {
				return fmt.Errorf("ListProjects: %w", err)
			}
			break
		}
		next, stop := iter.Pull2(e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{}))
		if _, err, _ := next(); err != nil {
			stop()
			return fmt.Errorf("ExportRun(%s): %w", at(ref), err)
		}
		stop()
		// What the loops held would be in the way of these.
		for _, gone := range []trackio.RunRef{ref, beside} {
			call, cancel := context.WithTimeout(ctx, 20*time.Second)
			err := e.Backend.DeleteRun(call, gone, trackio.DeleteOptions{})
			cancel()
			if err != nil {
				return fmt.Errorf("DeleteRun(%s) after loops that were left early: %w", at(gone), err)
			}
		}
	}
	return within(20*time.Second, "Close after loops that were left early", e.Backend.Close)
}

// within reports a call that takes longer than it may.
func within(limit time.Duration, what string, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-time.After(limit):
		return fmt.Errorf("%s did not return within %s", what, limit)
	}
}

func iteratorsErrorLast(ctx context.Context, e *Env) error {
	ref := e.ref()
	if err := errorLast(fmt.Sprintf("ExportRun of the unknown run %s", at(ref)), e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{})); err != nil {
		return err
	}
	if err := errorLast("ListRuns of an unknown project", e.Backend.ListRuns(ctx, ref.Project, trackio.ListOptions{Config: true, Latest: true, Counts: true})); err != nil {
		return err
	}
	if lister, ok := trackio.As[trackio.AlertLister](e.Backend); ok {
		return errorLast("ListAlerts of an unknown project", lister.ListAlerts(ctx, ref.Project, trackio.AlertOptions{}))
	}
	return nil
}

// errorLast wants one item: an error.
func errorLast[T any](what string, seq iter.Seq2[T, error]) error {
	var items, errs int
	for _, err := range seq {
		items++
		if err != nil {
			errs++
		}
	}
	if items != 1 || errs != 1 {
		return fmt.Errorf("%s yields %d items with %d errors among them, want one error and nothing else", what, items, errs)
	}
	return nil
}

func cancelledBefore(ctx context.Context, e *Env) error {
	ref, target := e.ref(), e.ref()
	want := full(e.Key(), "kept").delivered()
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for what, err := range callAll(gone, e.Backend, ref, target, want) {
		if err == nil {
			return fmt.Errorf("%s with a cancelled context succeeded", what)
		}
	}
	if err := holds(ctx, e.Backend, ref, want); err != nil {
		return fmt.Errorf("after calls with a cancelled context: %w", err)
	}
	return noProject(ctx, e.Backend, target.Project)
}

// callAll calls every method once, those that change something last, and yields
// what each returned.
func callAll(ctx context.Context, b trackio.Backend, ref, target trackio.RunRef, r run) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := func(_ any, err error) error { return err }
		type call struct {
			name string
			do   func() error
		}
		calls := []call{
			{"ListProjects", func() error { return last(collect(b.ListProjects(ctx))) }},
			{"ListRuns", func() error { return last(collect(b.ListRuns(ctx, ref.Project, trackio.ListOptions{}))) }},
			{"GetRun", func() error { return last(b.GetRun(ctx, ref)) }},
			{"ExportRun", func() error { return last(collect(b.ExportRun(ctx, ref, trackio.ExportOptions{}))) }},
			{"ImportRun", func() error { return last(b.ImportRun(ctx, target, r.records())) }},
			{"DeleteRun", func() error { return b.DeleteRun(ctx, ref, trackio.DeleteOptions{}) }},
		}
		if lister, ok := trackio.As[trackio.AlertLister](b); ok {
			calls = append(calls, call{"ListAlerts", func() error { return last(collect(lister.ListAlerts(ctx, ref.Project, trackio.AlertOptions{}))) }})
		}
		if summarizer, ok := trackio.As[trackio.Summarizer](b); ok {
			calls = append(calls, call{"SummarizeRun", func() error { return last(summarizer.SummarizeRun(ctx, ref)) }})
		}
		if mover, ok := trackio.As[trackio.Mover](b); ok {
			calls = append(calls, call{"MoveRun", func() error { return last(mover.MoveRun(ctx, ref, target.Project, trackio.MoveOptions{})) }})
		}
		if renamer, ok := trackio.As[trackio.Renamer](b); ok {
			calls = append(calls, call{"RenameRun", func() error { return last(renamer.RenameRun(ctx, ref, "renamed", trackio.RenameOptions{})) }})
		}
		if changer, ok := trackio.As[trackio.BulkChanger](b); ok {
			change := trackio.Change{Run: ref, Kind: trackio.ChangeRename, Name: "renamed again"}
			calls = append(calls, call{"ChangeRuns", func() error { return last(collect(changer.ChangeRuns(ctx, []trackio.Change{change}))) }})
		}
		if examiner, ok := trackio.As[trackio.Examiner](b); ok {
			calls = append(calls, call{"Examine", func() error { return last(collect(examiner.Examine(ctx, trackio.ExamineOptions{}))) }})
		}
		if collector, ok := trackio.As[trackio.Collector](b); ok {
			calls = append(calls, call{"Collect", func() error { return last(collect(collector.Collect(ctx, trackio.CollectOptions{DryRun: true}))) }})
		}
		if deleter, ok := trackio.As[trackio.ProjectDeleter](b); ok {
			calls = append(calls, call{"DeleteProject", func() error { return deleter.DeleteProject(ctx, ref.Project, trackio.DeleteOptions{}) }})
		}
		for _, c := range calls {
			if !yield(c.name, c.do()) {
				return
			}
		}
	}
}

// cancelledExport may see the whole run, or an error, and nothing between.
func cancelledExport(ctx context.Context, e *Env) error {
	ref := e.ref()
	want := bulky(e.Key())
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	for _, after := range []int{1, 3} {
		call, cancel := context.WithCancel(ctx)
		n := 0
		got, _, err := read(func(yield func(trackio.Record, error) bool) {
			for record, err := range e.Backend.ExportRun(call, ref, trackio.ExportOptions{}) {
				if n++; n == after {
					cancel()
				}
				if !yield(record, err) {
					return
				}
			}
		}, true)
		cancel()
		if err != nil {
			continue
		}
		if err := diff(want, got); err != nil {
			return fmt.Errorf("ExportRun, cancelled at its record %d, ended without an error, but is not whole: %w", after, err)
		}
	}
	return holds(ctx, e.Backend, ref, want)
}
