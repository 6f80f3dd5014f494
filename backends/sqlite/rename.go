package sqlite

import (
	"context"
	"fmt"

	"github.com/trackio-go/trackio/trackio"
)

// RenameRun implements [trackio.Renamer]. It is one transaction in one file. No
// media move: every reference names its file, and stays right.
func (b *Backend) RenameRun(ctx context.Context, ref trackio.RunRef, name string, opts trackio.RenameOptions) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	if err := b.requireRun(ctx, ref); err != nil {
		return trackio.RunInfo{}, err
	}
	if err := b.beforeChange(ctx); err != nil {
		return trackio.RunInfo{}, err
	}
	g := guard{verb: "renamed", ifRevision: opts.IfRevision, force: opts.Force}
	renamed := ref
	err = attempt(ref.ID, func() error {
		p, err := b.planChange(ctx, ref, g)
		if err != nil {
			return err
		}
		if p.key == "run_name" {
			renamed.ID = name
		}
		return b.renameRun(ctx, p, renamed.ID, name)
	})
	if err != nil {
		return trackio.RunInfo{}, err
	}
	return b.changed(ctx, renamed, name)
}

func (b *Backend) renameRun(ctx context.Context, p *plan, newID, name string) error {
	if name == p.name {
		return nil
	}
	release, err := b.lockProjects(ctx, p.ref.Project)
	if err != nil {
		return err
	}
	defer release()
	w, err := b.openWriter(ctx, b.db(p.ref.Project), false)
	if err != nil {
		return err
	}
	defer w.close()
	if err := b.checkRevision(ctx, w, p); err != nil {
		return err
	}
	if newID != p.ref.ID {
		taken, err := hasRun(ctx, w, w.schema, newID)
		if err != nil {
			return wrapErr(cause(ctx, err), "read", w.path)
		}
		if taken {
			return trackio.Errorf(trackio.ErrExists, "project %q has a run %q already; nothing was renamed", p.ref.Project, name).
				WithHint("the project was written by an old Trackio, which knows runs by their names alone; choose another name")
		}
	}
	h := b.inHurry(ctx, w, p, "renaming")
	err = h.within(ctx, func(ctx context.Context) error { return w.renameRows(ctx, p.ref.ID, name, h) })
	if err != nil {
		return err
	}
	return w.commit(ctx)
}

// renameRows gives the rows of a run another name, and what else names it.
func (w *writer) renameRows(ctx context.Context, id, name string, h *hurry) error {
	for _, table := range append(runTables[:], "run_artifact_links") {
		t := w.schema.table(table)
		if t == nil {
			continue
		}
		_, err := h.over(ctx, t, id, func(where string, ofRun ...any) (int64, error) {
			return w.exec(ctx, fmt.Sprintf("UPDATE main.%s SET run_name = ? WHERE %s", quote(table), where), append([]any{name}, ofRun...)...)
		})
		if err != nil {
			return err
		}
	}
	if t := w.schema.tables["artifact_versions"]; t != nil && t.has["producer_"+w.schema.key] {
		query := fmt.Sprintf("UPDATE main.artifact_versions SET producer_run_name = ? WHERE producer_%s = ?", w.schema.key)
		if _, err := w.exec(ctx, query, name, id); err != nil {
			return err
		}
	}
	return nil
}
