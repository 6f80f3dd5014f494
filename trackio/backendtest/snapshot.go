package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// disturbed reads a run to its end and calls disturb after the first record.
func disturbed(ctx context.Context, b trackio.Backend, ref trackio.RunRef, disturb func()) (run, error) {
	first := true
	got, _, err := read(func(yield func(trackio.Record, error) bool) {
		for record, err := range b.ExportRun(ctx, ref, trackio.ExportOptions{}) {
			if first {
				first = false
				disturb()
			}
			if !yield(record, err) {
				return
			}
		}
	}, true)
	return got, err
}

func exportAndDelete(ctx context.Context, e *Env) error {
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	ref := e.ref()
	want := bulky(e.Key())
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	var deleted error
	got, failed := disturbed(ctx, e.Backend, ref, func() {
		call, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		deleted = other.DeleteRun(call, ref, trackio.DeleteOptions{})
	})
	if failed == nil {
		if err := diff(want, got); err != nil {
			return fmt.Errorf("ExportRun of a run that was deleted meanwhile ended without an error, but is not whole: %w", err)
		}
	} else if err := anyError(ctx, "ExportRun of a run that was deleted meanwhile", failed); err != nil {
		return err
	}
	if deleted == nil {
		return absent(ctx, e.Backend, ref)
	}
	if err := wantKind("DeleteRun of a run that is being exported", deleted, trackio.ErrConflict, trackio.ErrUnavailable); err != nil {
		return err
	}
	return holds(ctx, e.Backend, ref, want)
}

func exportAndMove(ctx context.Context, e *Env) error {
	if _, err := capability[trackio.Mover](e); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	mover, _ := trackio.As[trackio.Mover](other)
	ref, target := e.ref(), e.Project()
	want := bulky(e.Key())
	if _, err := put(ctx, e.Backend, ref, want); err != nil {
		return err
	}
	var moved error
	got, failed := disturbed(ctx, e.Backend, ref, func() {
		call, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		_, moved = mover.MoveRun(call, ref, target, trackio.MoveOptions{})
	})
	if failed == nil {
		if err := diff(want, got); err != nil {
			return fmt.Errorf("ExportRun of a run that was moved meanwhile ended without an error, but is not whole: %w", err)
		}
	} else if err := anyError(ctx, "ExportRun of a run that was moved meanwhile", failed); err != nil {
		return err
	}
	if moved == nil {
		return errors.Join(absent(ctx, e.Backend, ref), holds(ctx, e.Backend, trackio.RunRef{Project: target, ID: ref.ID}, want))
	}
	if err := wantKind("MoveRun of a run that is being exported", moved, trackio.ErrConflict, trackio.ErrUnavailable); err != nil {
		return err
	}
	return holds(ctx, e.Backend, ref, want)
}
