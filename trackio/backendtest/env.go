package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Env is what a check works with.
type Env struct {
	Backend trackio.Backend // a handle on the storage
	Fresh   bool            // nothing else is in the storage

	open     Opener
	tag      string // random: tells the projects of this check from any other
	n        int
	handles  []trackio.Backend
	projects []string
}

func newEnv(open Opener, fresh bool) *Env {
	return &Env{open: open, Fresh: fresh, tag: fmt.Sprintf("%08x", rand.Uint32())} //nolint:gosec // no secret
}

// Second returns another handle on the same storage, as another process would
// have one. It is closed after the check.
func (e *Env) Second(ctx context.Context) (trackio.Backend, error) {
	b, err := e.open(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return e.Backend, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the storage a second time: %w", err)
	}
	e.handles = append(e.handles, b)
	return b, nil
}

// Project returns the name of a project that does not exist.
func (e *Env) Project() string { return e.NamedProject("backendtest-") }

// NamedProject is Project with a name that begins with prefix, which must be
// canonical.
func (e *Env) NamedProject(prefix string) string {
	e.n++
	name := fmt.Sprintf("%s%s-%d", prefix, e.tag, e.n)
	e.projects = append(e.projects, name)
	return name
}

// Key returns a text that is used nowhere else, for ids.
func (e *Env) Key() string {
	e.n++
	return fmt.Sprintf("%s%03d", e.tag, e.n)
}

// ref returns a run that does not exist, in a new project.
func (e *Env) ref() trackio.RunRef { return trackio.RunRef{Project: e.Project(), ID: e.Key()} }

// finish removes what the check made, unless nobody minds, and closes all.
func (e *Env) finish() error {
	var errs []error
	if !e.Fresh {
		errs = append(errs, e.clean())
	}
	for _, b := range append(e.handles, e.Backend) {
		if err := b.Close(); err != nil {
			errs = append(errs, fmt.Errorf("Close: %w", err))
		}
	}
	return errors.Join(errs...)
}

// clean removes the runs of the check's projects through a handle of its own,
// since a check may have closed the first one.
func (e *Env) clean() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := e.open(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		b, err = e.Backend, nil
	}
	if err != nil {
		return fmt.Errorf("cannot open the storage to clean up: %w", err)
	}
	var errs []error
	for _, project := range e.projects {
		runs, err := listRuns(ctx, b, project, trackio.ListOptions{})
		if err != nil && trackio.KindOf(err) != trackio.ErrNotFound {
			errs = append(errs, fmt.Errorf("cannot clean up project %q: %w", project, err))
		}
		for _, info := range runs {
			if err := b.DeleteRun(ctx, info.RunRef, trackio.DeleteOptions{Force: true}); err != nil {
				errs = append(errs, fmt.Errorf("cannot clean up run %q of project %q: %w", info.ID, project, err))
			}
		}
	}
	if b != e.Backend {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
