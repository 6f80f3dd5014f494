package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// MoveRun implements [trackio.Mover].
//
// Two database files have no common commit, so the move is two transactions, the
// target's first. In between, and after a kill there, the run is in both files;
// the journal tells our readers that it is in the target, and recovery finishes.
// Media get their new names before the first transaction and lose their old ones
// after the second.
func (b *Backend) MoveRun(ctx context.Context, ref trackio.RunRef, project string, opts trackio.MoveOptions) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	if project == ref.Project {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "run %q is in project %q already", ref.ID, project).
			WithHint("name another project")
	}
	if project != trackio.CanonicalProject(project) || isRegistry(project) {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "%q is no name of a project", project)
	}
	if err := b.requireRun(ctx, ref); err != nil {
		return trackio.RunInfo{}, err
	}
	if err := b.beforeChange(ctx); err != nil {
		return trackio.RunInfo{}, err
	}
	g := guard{verb: "moved", ifRevision: opts.IfRevision, force: opts.Force, delivered: true, whole: true}
	var moved trackio.RunRef
	var name string
	err = attempt(ref.ID, func() error {
		p, err := b.planChange(ctx, ref, g)
		if err != nil {
			return err
		}
		name = p.name
		moved, err = b.moveRun(ctx, p, project, opts.Force)
		return err
	})
	if err != nil {
		return trackio.RunInfo{}, err
	}
	return b.changed(ctx, moved, name)
}

// move is one move under way.
type move struct {
	b     *Backend
	p     *plan
	op    *operation
	force bool
	texts map[string]string // media references: old to new
	media mediaChanges

	// reached: the target's transaction has been begun, so that only a look at
	// the databases tells what has become of the move.
	reached bool
}

func (b *Backend) moveRun(ctx context.Context, p *plan, target string, force bool) (trackio.RunRef, error) {
	m := &move{b: b, p: p, force: force, op: b.newOperation(opMove)}
	m.op.Source, m.op.RunID, m.op.RunName, m.op.Revision, m.op.Rows = p.ref.Project, p.ref.ID, p.name, p.revision, p.rows
	m.op.Target, m.op.Alone = target, p.media.alone
	var err error
	if m.op.NewID, err = b.idInTarget(ctx, p, target); err != nil {
		return trackio.RunRef{}, err
	}
	tree, err := openMediaTree(b.dir, b.media())
	if err != nil {
		return trackio.RunRef{}, err
	}
	defer tree.close()
	if m.media, m.texts, err = b.planMove(ctx, p.media, tree, p.name, m.op); err != nil {
		return trackio.RunRef{}, err
	}
	if err := b.begin(m.op); err != nil {
		return trackio.RunRef{}, err
	}
	if err := m.media.place(ctx); err != nil {
		return trackio.RunRef{}, m.fail(ctx, err)
	}
	moved := trackio.RunRef{Project: target, ID: m.op.NewID}
	removed, err := m.commit(ctx)
	if err != nil {
		return moved, m.fail(ctx, err)
	}
	noteArtifacts(ctx, p.ref.Project, removed)
	b.cleanUp(context.WithoutCancel(ctx), m.op)
	return moved, nil
}

// idInTarget returns the id that the run has in the target, and refuses a move
// for which there is no room there. It is checked again under the lock.
func (b *Backend) idInTarget(ctx context.Context, p *plan, target string) (string, error) {
	id := p.ref.ID
	if p.key == "run_name" {
		id = trackio.DeriveRunID(p.ref.Project, p.name, p.started)
	}
	err := b.read(ctx, target, func(s *snapshot) error {
		if s.schema.key == "run_name" && len(s.schema.tables) > 0 {
			id = p.ref.ID
		}
		return checkRoom(ctx, s, s.schema, p, target, id)
	})
	if errors.Is(err, trackio.ErrNotFound) {
		return id, nil // a new project
	}
	return id, err
}

// checkRoom refuses an id that the target has, and a target that cannot keep it.
func checkRoom(ctx context.Context, q querier, s *schema, p *plan, target, id string) error {
	if s.key == "run_name" && p.key != "run_name" {
		return trackio.Errorf(errors.ErrUnsupported, "project %q was written by an old Trackio, without run ids, and cannot keep the id of run %q", target, p.ref.ID).
			WithHint("move it to another project")
	}
	taken, err := hasRun(ctx, q, s, id)
	if err != nil {
		return err
	}
	if taken {
		e := trackio.Errorf(trackio.ErrExists, "project %q has a run %q already; it was not moved", target, id)
		if s.key == "run_name" {
			return e.WithHint("that project was written by an old Trackio, which knows runs by their names alone; rename or delete one of the two, or move to another project")
		}
		return e.WithHint("delete one of the two, or move to another project")
	}
	return nil
}

// fail ends a move that met an error.
func (m *move) fail(ctx context.Context, err error) error {
	if !m.reached {
		return m.b.giveUp(ctx, m.op, m.media, err)
	}
	return m.b.ended(ctx, m.op, err)
}

// commit runs the two transactions under both locks. An error means that neither
// has happened, or that the first was taken back.
func (m *move) commit(ctx context.Context) (rowCounts, error) {
	release, err := m.b.lockProjects(ctx, m.op.Source, m.op.Target)
	if err != nil {
		return nil, err
	}
	defer release()
	// The source's write lock is held from the comparison to the deletion, so
	// that nobody, with or without the project's lock, changes it in between.
	source, err := m.b.openWriter(ctx, m.b.db(m.op.Source), false)
	if err != nil {
		return nil, err
	}
	defer source.close()
	if err := m.b.checkRevision(ctx, source, m.p); err != nil {
		return nil, err
	}
	if err := m.media.check(); err != nil {
		return nil, err
	}
	waited := !m.force && m.b.someoneWaits(ctx, source)
	gone := startRemoval(ctx, source, m.p.ref.ID)
	defer gone.stop()
	m.reached = true
	if err := m.b.commitTarget(ctx, m.op, m.insertInto(source, gone, waited)); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // committed: there is no way back but the end
	removed, err := gone.wait()
	if err == nil {
		err = source.commit(ctx)
	}
	if err == nil {
		return removed, nil
	}
	_ = source.close()
	// What was met may be over, so forward is tried again, and then back.
	done, again := m.b.settleMove(ctx, m.op)
	if done && again == nil {
		return removed, nil
	}
	if again != nil {
		err = errors.Join(err, m.b.withdraw(ctx, m.op))
	}
	return nil, err
}

// insertInto returns the work of the target's transaction. waited: somebody
// waits for the source's lock.
func (m *move) insertInto(source *writer, gone *removal, waited bool) func(context.Context, *writer) error {
	return func(ctx context.Context, w *writer) error {
		if err := checkRoom(ctx, w, w.schema, m.p, m.op.Target, m.op.NewID); err != nil {
			return err
		}
		if err := w.attach(ctx, source.path); err != nil {
			return err
		}
		t := &transplant{w: w, from: source.schema, fromID: m.p.ref.ID, toID: m.op.NewID, want: m.p.rows, media: m.texts}
		if waited || !m.force && m.b.someoneWaits(ctx, w) {
			t.hurry = m.b.newHurry(w, "src", "moving", moveShare)
		}
		var copied rowCounts
		err := t.hurry.within(ctx, func(ctx context.Context) (err error) {
			copied, err = t.run(ctx)
			return err
		})
		if err == nil && copied["pending_uploads"] > 0 {
			err = m.moveUploads(ctx, w)
		}
		if err == nil && gone.beside {
			_, err = gone.wait() // what the source cannot do is known before the commit
		}
		return err
	}
}

// commitTarget runs work in one durable transaction on the target's database. A
// project that is new becomes visible by that very commit: its database is made
// aside, complete, and then gets its name, so that no kill leaves an empty one.
// The caller holds the target's lock.
func (b *Backend) commitTarget(ctx context.Context, op *operation, work func(context.Context, *writer) error) error {
	for {
		w, err := b.openWriter(ctx, b.db(op.Target), false)
		switch {
		case err == nil:
			err = b.commitWork(ctx, w, work)
		case !b.hasDatabase(op.Target):
			err = b.publishTarget(ctx, op, work)
		}
		if !errors.Is(err, errTargetAppeared) {
			return err
		}
	}
}

// errTargetAppeared: somebody else created the project at the same moment.
var errTargetAppeared = errors.New("the target project was created meanwhile")

func (b *Backend) hasDatabase(project string) bool {
	_, err := os.Lstat(b.db(project))
	return !errors.Is(err, fs.ErrNotExist)
}

func (b *Backend) commitWork(ctx context.Context, w *writer, work func(context.Context, *writer) error) error {
	err := work(ctx, w)
	if err == nil {
		err = w.commit(ctx)
	}
	_ = w.close() // what was committed is committed
	return err
}

func (b *Backend) publishTarget(ctx context.Context, op *operation, work func(context.Context, *writer) error) error {
	dir := b.stagingOf(op)
	if err := makeDirs(b.dir, dir); err != nil {
		return wrapErr(err, "create the directory", dir)
	}
	path := filepath.Join(dir, "target.db")
	w, err := b.openWriter(ctx, path, true)
	if err != nil {
		return err
	}
	err = b.commitWork(ctx, w, func(ctx context.Context, w *writer) error {
		for _, statement := range ddl {
			if _, err := w.exec(ctx, statement.text); err != nil {
				return err
			}
		}
		if w.schema, err = readSchema(ctx, w); err != nil {
			return err
		}
		return work(ctx, w)
	})
	if err != nil {
		return err
	}
	// Closing has brought everything into the one file and removed its WAL.
	if _, err := os.Lstat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		if _, err := b.writeBack(ctx, path); err != nil { // says why
			return err
		}
		return trackio.Errorf(trackio.ErrUnavailable, "%s could not be completed: its WAL was not written back", path).
			WithHint("try again")
	}
	if err := syncFile(path); err != nil {
		return wrapErr(err, "write", path)
	}
	err = os.Link(path, b.db(op.Target))
	if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without hard links
		err = renameNew(path, b.db(op.Target))
	}
	if errors.Is(err, fs.ErrExist) {
		return errors.Join(errTargetAppeared, os.Remove(path))
	}
	if err != nil {
		return wrapErr(err, "create", b.db(op.Target))
	}
	return wrapErr(syncDir(b.dir), "write", b.dir)
}

// moveUploads follows the files that wait for delivery: their rows hold absolute
// paths, which end in the path below the media directory.
func (m *move) moveUploads(ctx context.Context, w *writer) error {
	for _, f := range m.op.Files {
		tail := "/media/" + f.From
		query := fmt.Sprintf(`UPDATE main.pending_uploads SET file_path = substr(file_path, 1, length(file_path) - length(?1)) || ?2
			WHERE %s = ?3 AND substr(replace(file_path, '\', '/'), -length(?1)) = ?1`, w.schema.tables["pending_uploads"].key)
		if _, err := w.exec(ctx, query, tail, "/media/"+f.To, m.op.NewID); err != nil {
			return err
		}
	}
	return nil
}

// someoneWaits reports whether a process has written to one of the databases in
// the last minute: it must not wait for the lock for long. The newest row is the
// one with the highest id.
func (b *Backend) someoneWaits(ctx context.Context, writers ...*writer) bool {
	for _, w := range writers {
		for _, name := range [...]string{"metrics", "system_metrics"} {
			if w.schema.table(name) == nil {
				continue
			}
			var at string
			query := fmt.Sprintf("SELECT timestamp FROM main.%s ORDER BY rowid DESC LIMIT 1", name)
			if w.QueryRowContext(ctx, query).Scan(&at) != nil {
				continue
			}
			if t := storedTime(strings.TrimSpace(at)); !t.IsZero() && b.now().Sub(t) < liveWindow {
				return true
			}
		}
	}
	return false
}
