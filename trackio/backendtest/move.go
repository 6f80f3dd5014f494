package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/trackio-go/trackio/trackio"
)

func moveChecks() []Check {
	const keeps = "Id, name, created_at, log ids, alert ids, space ids, timestamps, the order of rows, number tokens and media bytes stay the same"
	return []Check{
		{"move/keeps-everything", keeps, moveKeepsEverything},
		{"move/partial-runs", keeps, movePartialRuns},
		{"move/there-and-back", keeps, moveThereAndBack},
		{"move/result", "MoveRun moves the run with everything that belongs to it and returns it as it is in its new place.", moveResult},
		{"move/exists", "[ErrExists] when the target has the id, [ErrInvalid] when the target is the run's project,", moveExists},
		{"move/same-project", "[ErrInvalid] when the target is the run's project,", moveSameProject},
		{"move/same-name-in-target", "Delete removes the run's rows and the media only it refers to, and never another run's.", moveSameName},
		{"move/spares-others", "Delete removes the run's rows and the media only it refers to, and never another run's.", moveSparesOthers},
	}
}

// moved moves a run by force, since the runs of the checks may hold undelivered
// rows, and checks both places.
func moved(ctx context.Context, e *Env, ref trackio.RunRef, project string, want run) (trackio.RunRef, error) {
	mover, err := capability[trackio.Mover](e)
	if err != nil {
		return ref, err
	}
	target := trackio.RunRef{Project: project, ID: ref.ID}
	if _, err := mover.MoveRun(ctx, ref, project, trackio.MoveOptions{Force: true}); err != nil {
		return target, fmt.Errorf("MoveRun(%s, %q): %w", at(ref), project, err)
	}
	if err := errors.Join(absent(ctx, e.Backend, ref), holds(ctx, e.Backend, target, want)); err != nil {
		return target, fmt.Errorf("after a move from %q to %q: %w", ref.Project, project, err)
	}
	return target, nil
}

func moveKeepsEverything(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := full(e.Key(), "moved")
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	target, err := moved(ctx, e, ref, e.Project(), r)
	if err != nil {
		return err
	}
	if err := errors.Join(absent(ctx, other, ref), holds(ctx, other, target, r)); err != nil {
		return fmt.Errorf("through another handle: %w", err)
	}
	got, err := digestOf(other.ExportRun(ctx, target, trackio.ExportOptions{NoBodies: true}))
	if err != nil {
		return fmt.Errorf("ExportRun(%s): %w", at(target), err)
	}
	if want := r.digest(); got != want {
		return fmt.Errorf("the digest after a move is %s, want %s", got, want)
	}
	return nil
}

func movePartialRuns(ctx context.Context, e *Env) error {
	project, target := e.Project(), e.Project()
	for id, r := range dated(e) {
		ref := trackio.RunRef{Project: project, ID: id}
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return err
		}
		if _, err := moved(ctx, e, ref, target, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// moveThereAndBack goes through three projects and back, meets a namesake, and is
// deleted at the end.
func moveThereAndBack(ctx context.Context, e *Env) error {
	first := e.ref()
	r := full(e.Key(), "traveller")
	if _, err := put(ctx, e.Backend, first, r); err != nil {
		return err
	}
	ref := first
	for _, project := range []string{e.Project(), e.Project(), first.Project, e.Project(), first.Project} {
		next, err := moved(ctx, e, ref, project, r)
		if err != nil {
			return err
		}
		ref = next
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	return absent(ctx, e.Backend, ref)
}

func moveResult(ctx context.Context, e *Env) error {
	mover, err := capability[trackio.Mover](e)
	if err != nil {
		return err
	}
	ref, project := e.ref(), e.Project()
	r := full(e.Key(), "result")
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	info, err := mover.MoveRun(ctx, ref, project, trackio.MoveOptions{Force: true})
	if err != nil {
		return fmt.Errorf("MoveRun(%s): %w", at(ref), err)
	}
	target := trackio.RunRef{Project: project, ID: ref.ID}
	revision, err := revisionOf(ctx, e.Backend, target)
	switch {
	case err != nil:
		return err
	case info.RunRef != target || info.Name != r.name:
		return fmt.Errorf("MoveRun returned the run %s named %q, want %s named %q", at(info.RunRef), info.Name, at(target), r.name)
	case info.Revision != revision:
		return fmt.Errorf("MoveRun returned the revision %q, GetRun returns %q with no change between them", info.Revision, revision)
	}
	return sameTime("CreatedAt of MoveRun", r.createdAt(), info.CreatedAt)
}

func moveExists(ctx context.Context, e *Env) error {
	mover, err := capability[trackio.Mover](e)
	if err != nil {
		return err
	}
	ref := e.ref()
	there := trackio.RunRef{Project: e.Project(), ID: ref.ID}
	runs := map[trackio.RunRef]run{
		ref:   withMedia(e.Key(), "name", newFile("0/a.png", []byte("mine"))),
		there: withMedia(e.Key(), "name", newFile("0/a.png", []byte("theirs"))),
	}
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	for _, force := range []bool{false, true} {
		_, err := mover.MoveRun(ctx, ref, there.Project, trackio.MoveOptions{Force: force})
		if err := wantKind(fmt.Sprintf("MoveRun to a project that has the id, with Force=%t,", force), err, trackio.ErrExists); err != nil {
			return err
		}
		if err := holdsAll(ctx, e.Backend, runs); err != nil {
			return fmt.Errorf("after a refused move: %w", err)
		}
	}
	return nil
}

func moveSameProject(ctx context.Context, e *Env) error {
	mover, err := capability[trackio.Mover](e)
	if err != nil {
		return err
	}
	ref := e.ref()
	r := full(e.Key(), "stays").delivered()
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	_, err = mover.MoveRun(ctx, ref, ref.Project, trackio.MoveOptions{})
	if err := wantKind("MoveRun to the run's own project", err, trackio.ErrInvalid); err != nil {
		return err
	}
	return holds(ctx, e.Backend, ref, r)
}

func moveSameName(ctx context.Context, e *Env) error {
	source, target := e.Project(), e.Project()
	arriving, there := twins(e, source, "one name"), twins(e, target, "one name")
	if err := errors.Join(putAll(ctx, e.Backend, arriving), putAll(ctx, e.Backend, there)); err != nil {
		return err
	}
	for ref, r := range arriving {
		next, err := moved(ctx, e, ref, target, r)
		if err != nil {
			return err
		}
		there[next] = r
		if err := holdsAll(ctx, e.Backend, there); err != nil {
			return fmt.Errorf("in the target of a move: %w", err)
		}
	}
	return nil
}

func moveSparesOthers(ctx context.Context, e *Env) error {
	source, target := e.Project(), e.Project()
	runs := twins(e, source, "one name")
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	for ref, r := range maps.Clone(runs) {
		next, err := moved(ctx, e, ref, target, r)
		if err != nil {
			return err
		}
		delete(runs, ref)
		runs[next] = r
		if err := holdsAll(ctx, e.Backend, runs); err != nil {
			return fmt.Errorf("after the move of one of two runs of one name: %w", err)
		}
	}
	return nil
}
