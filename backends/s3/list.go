package s3

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// ListProjects implements [trackio.Backend].
func (b *Backend) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield("", err)
			return
		}
		defer leave()
		state, err := b.ledger.Load(ctx)
		if err != nil {
			yield("", cause(ctx, err))
			return
		}
		for _, project := range state.Projects() {
			if !yield(project, nil) {
				return
			}
		}
	}
}

// ListRuns implements [trackio.Backend]. All that a listing can carry stands in
// the log, so that it costs the same few requests whatever is asked for.
func (b *Backend) ListRuns(ctx context.Context, project string, opts trackio.ListOptions) iter.Seq2[trackio.RunInfo, error] {
	return func(yield func(trackio.RunInfo, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield(trackio.RunInfo{}, err)
			return
		}
		defer leave()
		state, err := b.ledger.Load(ctx)
		if err != nil {
			yield(trackio.RunInfo{}, cause(ctx, err))
			return
		}
		for run, err := range state.Runs(ctx, project) {
			var info trackio.RunInfo
			switch {
			case err == nil:
				info, err = b.listed(ctx, project, run, opts)
			case isAbsent(err):
				err = trackio.Errorf(trackio.ErrNotFound, "no project %q in %s", project, b.bucket).
					WithHint("list the projects for their names")
			}
			if err != nil {
				yield(trackio.RunInfo{}, cause(ctx, err))
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// listed returns a run as a listing shows it.
func (b *Backend) listed(ctx context.Context, project string, r *ledger.Run, opts trackio.ListOptions) (trackio.RunInfo, error) {
	info := trackio.RunInfo{RunRef: trackio.RunRef{Project: project, ID: r.ID}, Name: r.Name, CreatedAt: r.Created()}
	if opts.Latest {
		info.LastStep, info.UpdatedAt = r.LastStep, r.Updated()
	}
	if opts.Counts {
		counts := countsOf(r)
		info.Counts = &counts
	}
	if !opts.Config {
		return info, nil
	}
	var err error
	info.Config, err = b.configOf(ctx, r)
	return info, err
}

// configOf returns the config of a run, nil when it has none. Only a large one
// costs a request.
func (b *Backend) configOf(ctx context.Context, r *ledger.Run) (json.RawMessage, error) {
	if r.ConfigInManifest {
		m, err := b.manifestOf(ctx, r)
		if err != nil {
			return nil, err
		}
		return json.RawMessage(m.Config), nil
	}
	if r.Config == nil {
		return nil, nil
	}
	var text exact
	if err := text.UnmarshalJSON(r.Config); err != nil {
		return nil, trackio.Errorf(trackio.ErrDataLoss, "the config of run %q is damaged in the log: %w", r.ID, err)
	}
	return json.RawMessage(text), nil
}

// GetRun implements [trackio.Backend].
func (b *Backend) GetRun(ctx context.Context, ref trackio.RunRef) (info trackio.RunInfo, err error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	err = b.withRun(ctx, ref, func(r *ledger.Run) error {
		info, err = b.info(ctx, ref.Project, r)
		return err
	})
	return info, err
}

// info returns all that is known about a run without its rows.
func (b *Backend) info(ctx context.Context, project string, r *ledger.Run) (trackio.RunInfo, error) {
	info, err := b.listed(ctx, project, r, trackio.ListOptions{Config: true, Latest: true})
	info.Revision = r.Revision()
	return info, err
}

// find returns a run of the newest state.
func (b *Backend) find(ctx context.Context, ref trackio.RunRef) (*ledger.Run, error) {
	state, err := b.ledger.Load(ctx)
	if err != nil {
		return nil, cause(ctx, err)
	}
	return runIn(ctx, state, ref)
}

func runIn(ctx context.Context, state *ledger.State, ref trackio.RunRef) (*ledger.Run, error) {
	found, err := state.Find(ctx, ref.Project, ref.ID)
	if err != nil {
		return nil, cause(ctx, err)
	}
	if r := found[ref.ID]; r != nil {
		return r, nil
	}
	return nil, errUnknown(ref)
}

func errUnknown(ref trackio.RunRef) error {
	return trackio.Errorf(trackio.ErrNotFound, "project %q has no run %q", ref.Project, ref.ID).
		WithHint("list the runs of the project for their ids")
}

// withRun calls read with the run of the newest state. When read does not find
// an object of the run it looks again: what was deleted meanwhile is
// [trackio.ErrConflict], and only what should be there is [trackio.ErrDataLoss].
func (b *Backend) withRun(ctx context.Context, ref trackio.RunRef, read func(*ledger.Run) error) error {
	r, err := b.find(ctx, ref)
	if err != nil {
		return err
	}
	if err := read(r); err != nil {
		return b.explain(ctx, ref, r, err)
	}
	return nil
}

// explain says why an object of a run was not there.
func (b *Backend) explain(ctx context.Context, ref trackio.RunRef, r *ledger.Run, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !isAbsent(err) {
		return err
	}
	current, findErr := b.find(ctx, ref)
	switch {
	case errors.Is(findErr, trackio.ErrNotFound), findErr == nil && current.Data != r.Data:
		return trackio.Errorf(trackio.ErrConflict, "run %q of project %q was deleted or moved while it was read", ref.ID, ref.Project).
			WithHint("list the runs again")
	case findErr != nil:
		return findErr
	}
	return trackio.Errorf(trackio.ErrDataLoss, "an object of run %q of project %q is missing in the bucket: %w", ref.ID, ref.Project, err).
		WithHint("somebody has removed it with another program; restore it if the bucket keeps versions")
}

func countsOf(r *ledger.Run) trackio.Counts {
	return trackio.Counts{Metrics: r.Rows.Metrics, SystemMetrics: r.Rows.SystemMetrics, Alerts: r.Rows.Alerts, Traces: r.Rows.Traces}
}
