package backendtest

import (
	"context"
	"fmt"

	"github.com/trackio-go/trackio/trackio"
)

func renameChecks() []Check {
	const nothingElse = "RenameRun changes the name and nothing else, and returns the run as it is then."
	return []Check{
		{"rename/only-the-name", nothingElse, renameOnlyTheName},
		{"rename/to-a-taken-name", "A run has an id, which is unique within its project, and a name, which is a label and may repeat.", renameToTaken},
		{"rename/odd-names", "Names are data: no name reaches outside the storage, whatever it contains.", renameOdd},
		{"rename/then-move-and-delete", "Move and rename keep id, created_at, log_id, alert_id, space_id, timestamps, row order, number tokens and media bytes.", renameThenMove},
	}
}

// renamed renames a run and checks what has become of it.
func renamed(ctx context.Context, e *Env, ref trackio.RunRef, name string, r run) (run, error) {
	renamer, err := capability[trackio.Renamer](e)
	if err != nil {
		return r, err
	}
	want := r.named(name)
	info, err := renamer.RenameRun(ctx, ref, name, trackio.RenameOptions{})
	if err != nil {
		return want, fmt.Errorf("RenameRun(%s, %q): %w", at(ref), short(name), err)
	}
	if info.RunRef != ref || info.Name != name {
		return want, fmt.Errorf("RenameRun returned the run %s named %q, want %s named %q", at(info.RunRef), short(info.Name), at(ref), short(name))
	}
	revision, err := revisionOf(ctx, e.Backend, ref)
	if err != nil {
		return want, err
	}
	if info.Revision != revision {
		return want, fmt.Errorf("RenameRun returned the revision %q, GetRun returns %q with no change between them", info.Revision, revision)
	}
	if err := holds(ctx, e.Backend, ref, want); err != nil {
		return want, fmt.Errorf("after a renaming from %q to %q: %w", short(r.name), short(name), err)
	}
	return want, nil
}

func renameOnlyTheName(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := full(e.Key(), "before")
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	want, err := renamed(ctx, e, ref, "after", r)
	if err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	return holds(ctx, other, ref, want)
}

func renameToTaken(ctx context.Context, e *Env) error {
	project := e.Project()
	runs := twins(e, project, "one name")
	third := trackio.RunRef{Project: project, ID: e.Key()}
	runs[third] = withMedia(e.Key(), "another name", newFile("0/a.png", []byte("of the third")))
	if err := putAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	want, err := renamed(ctx, e, third, "one name", runs[third])
	if err != nil {
		return err
	}
	runs[third] = want
	if err := holdsAll(ctx, e.Backend, runs); err != nil {
		return err
	}
	if err := e.Backend.DeleteRun(ctx, third, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(third), err)
	}
	delete(runs, third)
	return holdsAll(ctx, e.Backend, runs)
}

func renameOdd(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := withMedia(e.Key(), "plain", newFile("0/a.png", []byte("a")))
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	for _, name := range append(odd(), "", "plain") {
		next, err := renamed(ctx, e, ref, name, r)
		if err != nil {
			return err
		}
		r = next
	}
	return nil
}

func renameThenMove(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := full(e.Key(), "first").delivered()
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	r, err := renamed(ctx, e, ref, "second/../third", r)
	if err != nil {
		return err
	}
	// A new run takes the old name, and the old paths.
	namesake := trackio.RunRef{Project: ref.Project, ID: e.Key()}
	other := withMedia(e.Key(), "first", newFile("3/a.png", []byte("of the namesake")))
	if _, err := put(ctx, e.Backend, namesake, other); err != nil {
		return err
	}
	if _, ok := trackio.As[trackio.Mover](e.Backend); ok {
		if ref, err = moved(ctx, e, ref, e.Project(), r); err != nil {
			return err
		}
	}
	if err := holds(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	if err := e.Backend.DeleteRun(ctx, ref, trackio.DeleteOptions{}); err != nil {
		return fmt.Errorf("DeleteRun(%s): %w", at(ref), err)
	}
	if err := absent(ctx, e.Backend, ref); err != nil {
		return err
	}
	return holds(ctx, e.Backend, namesake, other)
}
