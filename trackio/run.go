package trackio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"sync"
	"time"
)

// Run is one run of a project. Its methods are safe for use by several
// goroutines.
type Run struct {
	reading    sync.Mutex // held while the config is read
	mu         sync.Mutex
	backend    Backend
	info       RunInfo
	haveConfig bool // info.Config is known, be it nil
}

func newRun(b Backend, info RunInfo, haveConfig bool) *Run {
	return &Run{backend: b, info: info, haveConfig: haveConfig}
}

// ID returns the run's id, which is unique within its project.
func (r *Run) ID() string { return r.Info().ID }

// Name returns the run's name, a label that may repeat.
func (r *Run) Name() string { return r.Info().Name }

// Project returns the canonical name of the project that the run is in.
func (r *Run) Project() string { return r.Info().Project }

// CreatedAt returns when the run began (see [RunInfo]).
func (r *Run) CreatedAt() time.Time { return r.Info().CreatedAt }

// Info returns what is known about the run without asking the storage.
func (r *Run) Info() RunInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info
}

// Config returns the configuration as a tree of Go values, numbers as
// [json.Number] so that none loses a digit; nil when the run has none. It is
// read once, when first asked for.
func (r *Run) Config(ctx context.Context) (map[string]any, error) {
	raw, err := r.RawConfig(ctx)
	if err != nil || raw == nil {
		return nil, err
	}
	var config map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&config); err != nil {
		return nil, Errorf(ErrDataLoss, "config of run %q is not a JSON object: %w", r.ID(), err)
	}
	return config, nil
}

// where returns the storage and the place in it that the run is in.
func (r *Run) where() (Backend, RunRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backend, r.info.RunRef
}

// RawConfig returns the configuration as it is stored, nil when the run has
// none.
func (r *Run) RawConfig(ctx context.Context) (json.RawMessage, error) {
	r.reading.Lock() // one request, however many ask
	defer r.reading.Unlock()
	r.mu.Lock()
	backend, ref, config, have := r.backend, r.info.RunRef, r.info.Config, r.haveConfig
	r.mu.Unlock()
	if have {
		return config, nil
	}
	info, err := backend.GetRun(ctx, ref)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info.Config, r.haveConfig = info.Config, true
	return info.Config, nil
}

// Records yields the run as a stream of records (see [Record]).
func (r *Run) Records(ctx context.Context, opts ExportOptions) iter.Seq2[Record, error] {
	backend, ref := r.where()
	return backend.ExportRun(ctx, ref, opts)
}

// Alerts returns the run's alerts, the newest first.
func (r *Run) Alerts(ctx context.Context) ([]Alert, error) {
	backend, ref := r.where()
	return New(backend).Alerts(ctx, ref.Project, AlertOptions{RunID: ref.ID})
}

// Delete removes the run with its metrics, config, system metrics, alerts,
// traces and media; nil means that it is gone. A run that is still written to is
// [ErrConflict].
func (r *Run) Delete(ctx context.Context) error {
	return r.DeleteWith(ctx, DeleteOptions{})
}

// DeleteWith is Delete with guards (see [DeleteOptions]).
func (r *Run) DeleteWith(ctx context.Context, opts DeleteOptions) error {
	backend, ref := r.where()
	return backend.DeleteRun(ctx, ref, opts)
}

// Move moves the run with everything that belongs to it to another project,
// which is created when it is new. Afterwards Project, and on old storages ID,
// say where the run is now.
func (r *Run) Move(ctx context.Context, project string) error {
	return r.MoveWith(ctx, project, MoveOptions{})
}

// MoveWith is Move with guards (see [MoveOptions]).
func (r *Run) MoveWith(ctx context.Context, project string, opts MoveOptions) error {
	backend, ref := r.where()
	target := CanonicalProject(project)
	if target == ref.Project {
		return errAlreadyIn(ref, target)
	}
	if err := checkTarget(ctx, backend, target); err != nil {
		return err
	}
	mover, ok := As[Mover](backend)
	if !ok {
		return r.moveByCopy(ctx, backend, target, opts)
	}
	info, err := mover.MoveRun(ctx, ref, target, opts)
	if errors.Is(err, errors.ErrUnsupported) { // not this run, natively; perhaps as every storage can
		if byCopy := r.moveByCopy(ctx, backend, target, opts); !errors.Is(byCopy, errors.ErrUnsupported) {
			return byCopy
		}
	}
	if err != nil {
		return err
	}
	r.settle(backend, info)
	return nil
}

// Rename changes the run's name and nothing else. A name that would harm is
// [ErrInvalid] (see [CheckNewRunName]); a backend that cannot rename returns
// [errors.ErrUnsupported].
func (r *Run) Rename(ctx context.Context, name string) error {
	return r.RenameWith(ctx, name, RenameOptions{})
}

// RenameWith is Rename with guards (see [RenameOptions]).
func (r *Run) RenameWith(ctx context.Context, name string, opts RenameOptions) error {
	if err := CheckNewRunName(name); err != nil {
		return err
	}
	backend, ref := r.where()
	renamer, ok := As[Renamer](backend)
	if !ok {
		return Errorf(errors.ErrUnsupported, "this backend cannot rename runs")
	}
	info, err := renamer.RenameRun(ctx, ref, name, opts)
	if err != nil {
		return err
	}
	r.settle(backend, info)
	return nil
}

// settle takes over where the run is after a change.
func (r *Run) settle(backend Backend, info RunInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backend = backend
	r.info.RunRef, r.info.Name, r.info.DerivedID, r.info.Revision = info.RunRef, info.Name, info.DerivedID, info.Revision
}

func errAlreadyIn(ref RunRef, target string) error {
	return Errorf(ErrInvalid, "run %q is in project %q already", ref.ID, target).
		WithHint("name another project")
}

// checkTarget refuses a project that no run may be brought to: a new one of a
// reserved name.
func checkTarget(ctx context.Context, b Backend, project string) error {
	if err := CheckNewProject(project); err != nil && !projectExists(ctx, b, project) {
		return err
	}
	return nil
}

// projectExists reports whether a project has been listed; an error counts as no.
func projectExists(ctx context.Context, b Backend, project string) bool {
	for name, err := range b.ListProjects(ctx) {
		if err != nil {
			return false
		}
		if name == project {
			return true
		}
	}
	return false
}
