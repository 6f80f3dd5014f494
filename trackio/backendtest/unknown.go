package backendtest

import (
	"context"
	"fmt"

	"github.com/trackio-go/trackio/trackio"
)

func unknownChecks() []Check {
	const why = "an unknown id is \"not found\" everywhere, and leaves nothing behind."
	return []Check{
		{"unknown/project", why, func(ctx context.Context, e *Env) error {
			ref := e.ref()
			if err := unknownRun(ctx, e, ref); err != nil {
				return err
			}
			return noProject(ctx, e.Backend, ref.Project)
		}},
		{"unknown/run", why, func(ctx context.Context, e *Env) error {
			known := e.ref()
			want := small(e.Key(), "known")
			if _, err := put(ctx, e.Backend, known, want); err != nil {
				return err
			}
			for _, id := range []string{e.Key(), want.name, "", known.ID + " ", known.ID[:4], known.Project} {
				if err := unknownRun(ctx, e, trackio.RunRef{Project: known.Project, ID: id}); err != nil {
					return err
				}
			}
			return holds(ctx, e.Backend, known, want)
		}},
	}
}

// unknownRun asks every method for a run that does not exist.
func unknownRun(ctx context.Context, e *Env, ref trackio.RunRef) error {
	if err := absent(ctx, e.Backend, ref); err != nil {
		return err
	}
	for _, opts := range []trackio.DeleteOptions{{}, {Force: true}, {IfRevision: "no such revision"}} {
		err := e.Backend.DeleteRun(ctx, ref, opts)
		if err := wantKind(fmt.Sprintf("DeleteRun(%s, %+v)", at(ref), opts), err, trackio.ErrNotFound); err != nil {
			return err
		}
	}
	if mover, ok := trackio.As[trackio.Mover](e.Backend); ok {
		target := e.Project()
		for _, force := range []bool{false, true} {
			_, err := mover.MoveRun(ctx, ref, target, trackio.MoveOptions{Force: force})
			if err := wantKind(fmt.Sprintf("MoveRun(%s)", at(ref)), err, trackio.ErrNotFound); err != nil {
				return err
			}
		}
		if err := noProject(ctx, e.Backend, target); err != nil {
			return fmt.Errorf("after a move of an unknown run: %w", err)
		}
	}
	if renamer, ok := trackio.As[trackio.Renamer](e.Backend); ok {
		_, err := renamer.RenameRun(ctx, ref, "new name", trackio.RenameOptions{})
		if err := wantKind(fmt.Sprintf("RenameRun(%s)", at(ref)), err, trackio.ErrNotFound); err != nil {
			return err
		}
	}
	if summarizer, ok := trackio.As[trackio.Summarizer](e.Backend); ok {
		_, err := summarizer.SummarizeRun(ctx, ref)
		if err := wantKind(fmt.Sprintf("SummarizeRun(%s)", at(ref)), err, trackio.ErrNotFound); err != nil {
			return err
		}
	}
	return absent(ctx, e.Backend, ref)
}
