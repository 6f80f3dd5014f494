package trackio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"
)

// CopyOptions says how a run is copied.
type CopyOptions struct {
	// ID is the id of the copy, "" for that of the run. A copy with another id
	// is another run: it gets no log ids, alert ids and space ids, which are keys
	// of what a client has sent, and its traces get ids of their own.
	ID    string
	Force bool // copy even rows that are not delivered yet
}

// Copy copies the run into a project of a storage, which may be the run's own,
// and returns the copy. Every row and every file of it was compared with what was
// read, before Copy returns nil. [ErrExists] when the id is taken there.
func (r *Run) Copy(ctx context.Context, to *Api, project string, opts CopyOptions) (*Run, error) {
	from, ref := r.where()
	t := transfer{from: from, to: to.backend, force: opts.Force}
	if err := t.begin(ctx, ref, project, opts.ID); err != nil {
		return nil, err
	}
	if err := t.copy(ctx); err != nil {
		return nil, err
	}
	return newRun(to.backend, t.copied, false), nil
}

// MoveTo moves the run into a project of another storage: it is copied, compared
// and then deleted here. Nothing is deleted that is not whole over there, and a
// move that was interrupted is completed by the next one. Afterwards the Run is
// the one in the other storage.
func (r *Run) MoveTo(ctx context.Context, to *Api, project string, opts MoveOptions) error {
	if from, _ := r.where(); from == to.backend {
		return r.MoveWith(ctx, project, opts)
	}
	return r.moveByCopy(ctx, to.backend, project, opts)
}

func (r *Run) moveByCopy(ctx context.Context, to Backend, project string, opts MoveOptions) error {
	from, ref := r.where()
	t := transfer{from: from, to: to, force: opts.Force, moving: true}
	if err := t.begin(ctx, ref, project, ""); err != nil {
		return err
	}
	if opts.IfRevision != "" && opts.IfRevision != t.info.Revision {
		return Errorf(ErrConflict, "run %q has changed since it was looked at; it was not moved", t.info.ID).
			WithHint("look at it again, then repeat")
	}
	if err := t.move(ctx); err != nil {
		return err
	}
	r.settle(to, t.copied)
	return nil
}

// liveFor is how young a row makes its run count as still written to.
const liveFor = time.Minute

// transfer is the one way in which a run gets from one storage to another.
type transfer struct {
	from, to Backend
	force    bool
	moving   bool

	info   RunInfo // of the run
	target RunRef
	rekey  bool // the copy is another run

	digest   *Digest
	revision string  // of the state that was read
	copied   RunInfo // the copy
	made     bool    // by this very call
}

// begin looks at the run and refuses what cannot be meant.
func (t *transfer) begin(ctx context.Context, ref RunRef, project, id string) error {
	var err error
	if t.info, err = t.from.GetRun(ctx, ref); err != nil {
		return err
	}
	t.target = RunRef{Project: CanonicalProject(project), ID: t.info.ID}
	if t.info.DerivedID != "" {
		t.target.ID = t.info.DerivedID
	}
	if id != "" && id != t.target.ID {
		t.target.ID, t.rekey = id, true
	}
	if t.from == t.to && t.target == ref {
		return Errorf(ErrExists, "run %q is in project %q already", ref.ID, t.target.Project).
			WithHint("name another project, or give the copy a new id")
	}
	if err := CheckNewProject(t.target.Project); err != nil && !projectExists(ctx, t.to, t.target.Project) {
		return err
	}
	if t.moving && !t.force && !t.info.UpdatedAt.IsZero() && time.Since(t.info.UpdatedAt) < liveFor {
		return Errorf(ErrConflict, "run %q is still being written to; it was not moved", t.info.ID).
			WithHint("wait until the training has ended, or force it: what is logged from then on comes in under the old place")
	}
	return nil
}

// copy imports the run and verifies the copy. When the target has the run
// already, whole, copy returns ErrExists and t.copied says what is there.
func (t *transfer) copy(ctx context.Context) error {
	t.digest = NewDigest()
	imported, err := t.to.ImportRun(ctx, t.target, t.hashed(t.from.ExportRun(ctx, t.info.RunRef, ExportOptions{})))
	switch {
	case err == nil:
		t.copied, t.made = imported, true
	case errors.Is(err, ErrExists):
		return t.compareExisting(ctx, err)
	case errors.Is(err, ErrBackendDied), errors.Is(err, ErrUnavailable):
		return t.look(ctx, err)
	default:
		return err
	}
	return t.verify(ctx)
}

// verify reads the copy back, without the bytes of its media but with their
// hashes, and takes it away again when it is not what was read.
func (t *transfer) verify(ctx context.Context) error {
	sum, info, err := digestOf(ctx, t.to, t.target)
	if err == nil && sum == t.digest.Sum() {
		t.copied = info
		return nil
	}
	if err == nil {
		err = Errorf(ErrDataLoss, "the copy of run %q in project %q is not what was read", t.info.ID, t.target.Project).
			WithHint("the run itself is untouched; check the storage that was copied to")
	}
	return errors.Join(err, t.takeBack(context.WithoutCancel(ctx)))
}

// takeBack removes the copy, if this very call made it and it has not changed.
func (t *transfer) takeBack(ctx context.Context) error {
	if !t.made {
		return nil
	}
	err := t.to.DeleteRun(ctx, t.target, DeleteOptions{IfRevision: t.copied.Revision, Force: true})
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("the copy in project %q could not be removed: %w", t.target.Project, err)
}

// compareExisting says what it is that stands in the way.
func (t *transfer) compareExisting(ctx context.Context, exists error) error {
	source, info, err := t.digestOfSource(ctx)
	if err != nil {
		return errors.Join(exists, err)
	}
	there, copied, err := digestOf(ctx, t.to, t.target)
	if err != nil {
		return errors.Join(exists, err)
	}
	if there != source {
		return Errorf(ErrExists, "project %q has another run %q, with other content; both were kept", t.target.Project, t.target.ID).
			WithHint("look at both, delete or rename one, or copy under a new id")
	}
	t.copied, t.revision = copied, info.Revision
	return errSame
}

// errSame: the target has this very run, whole.
var errSame = Errorf(ErrExists, "the target has the very same run already").
	WithHint("nothing is left to do, or move the run to complete an interrupted move")

// look finds out whether an import of unknown outcome has happened.
func (t *transfer) look(ctx context.Context, cause error) error {
	there, info, err := digestOf(ctx, t.to, t.target)
	switch {
	case errors.Is(err, ErrNotFound):
		return cause
	case err != nil:
		return Errorf(KindOf(cause), "it is not known whether run %q came to project %q: %w", t.info.ID, t.target.Project, cause).
			WithHint("the run itself is untouched; try again when the storage answers")
	case there != t.digest.Sum():
		return Errorf(ErrConflict, "project %q has a run %q whose content is another: %w", t.target.Project, t.target.ID, cause).
			WithHint("the run itself is untouched; look at both")
	}
	t.copied, t.made = info, true
	return nil
}

func (t *transfer) move(ctx context.Context) error {
	if err := t.copy(ctx); err != nil && !errors.Is(err, errSame) {
		return err
	}
	err := t.from.DeleteRun(ctx, t.info.RunRef, DeleteOptions{IfRevision: t.revision, Force: t.force})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrBackendDied), errors.Is(err, ErrUnavailable):
		if _, look := t.from.GetRun(ctx, t.info.RunRef); errors.Is(look, ErrNotFound) {
			return nil
		}
		return Errorf(KindOf(err), "run %q is whole in project %q of the target; whether it is still in its old place is not known: %w", t.info.ID, t.target.Project, err).
			WithHint("move it again: that completes the move")
	case errors.Is(err, ErrNotFound):
		return Errorf(ErrConflict, "run %q was deleted or moved by somebody else meanwhile; its copy in project %q of the target was kept: %w", t.info.ID, t.target.Project, err).
			WithHint("delete the copy if it is not wanted")
	case t.made && errors.Is(err, ErrConflict):
		return errors.Join(Errorf(ErrConflict, "run %q changed while it was moved; it is where it was: %w", t.info.ID, err).
			WithHint("wait until nothing writes to it any more, or force it"), t.takeBack(context.WithoutCancel(ctx)))
	}
	return Errorf(KindOf(err), "run %q is whole in project %q of the target, and still in its old place: %w", t.info.ID, t.target.Project, err).
		WithHint("move it again when the cause is mended: that completes the move")
}

// hashed passes the source's stream on to the importer as the copy is to be, and
// sums it up. A media file is hashed while the importer reads it.
func (t *transfer) hashed(records iter.Seq2[Record, error]) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for record, err := range records {
			if err == nil {
				record, err = t.adapt(record)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			media, isMedia := record.(*Media)
			if !isMedia || media.Missing {
				t.digest.Add(record)
				if !yield(record, nil) {
					return
				}
				continue
			}
			body := &hashReader{r: media.Body, sum: sha256.New()}
			passed := *media
			passed.Body = body
			if !yield(&passed, nil) {
				return
			}
			if err := body.finish(&passed); err != nil {
				yield(nil, err)
				return
			}
			t.digest.Add(&passed)
		}
	}
}

// adapt makes the record of a copy out of the record of the run.
func (t *transfer) adapt(record Record) (Record, error) {
	if header, ok := record.(*Header); ok {
		t.revision = header.Revision
		adapted := *header
		adapted.RunRef = t.target
		return &adapted, nil
	}
	if !t.force && undelivered(record) {
		return nil, Errorf(ErrConflict, "run %q has rows that Trackio has not delivered to its Space yet; nothing was copied", t.info.ID).
			WithHint("run Python's `trackio sync --project %s` first, or force it: the rows are then delivered from both places or from the new one", t.info.Project)
	}
	if t.rekey {
		return rekeyed(record, t.target.ID), nil
	}
	return record, nil
}

// digestOfSource sums up the run as a copy of it would be.
func (t *transfer) digestOfSource(ctx context.Context) (string, RunInfo, error) {
	if !t.rekey {
		return digestOf(ctx, t.from, t.info.RunRef)
	}
	return digestStream(func(yield func(Record, error) bool) {
		for record, err := range t.from.ExportRun(ctx, t.info.RunRef, ExportOptions{NoBodies: true}) {
			if err == nil {
				record = rekeyed(record, t.target.ID)
			}
			if !yield(record, err) {
				return
			}
		}
	})
}

// digestOf returns the content digest of a stored run and its header.
func digestOf(ctx context.Context, b Backend, ref RunRef) (string, RunInfo, error) {
	return digestStream(b.ExportRun(ctx, ref, ExportOptions{NoBodies: true}))
}

func digestStream(records iter.Seq2[Record, error]) (string, RunInfo, error) {
	digest, info := NewDigest(), RunInfo{}
	for record, err := range records {
		if err != nil {
			return "", RunInfo{}, err
		}
		if header, ok := record.(*Header); ok {
			info = header.RunInfo
		}
		digest.Add(record)
	}
	return digest.Sum(), info, nil
}

// hashReader sums up what passes.
type hashReader struct {
	r   io.Reader
	sum hash.Hash
	n   int64
}

func (h *hashReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	h.n += int64(n)
	return n, err
}

// finish reads what the importer left, sets the hash, and compares with what the
// exporter said.
func (h *hashReader) finish(m *Media) error {
	if _, err := io.Copy(io.Discard, h); err != nil {
		return err
	}
	sum := hex.EncodeToString(h.sum.Sum(nil))
	if h.n != m.Size || m.SHA256 != "" && m.SHA256 != sum {
		return Errorf(ErrDataLoss, "media file %q has %d bytes with SHA-256 %s, not %d with %s", m.Path, h.n, sum, m.Size, m.SHA256)
	}
	m.SHA256 = sum
	return nil
}

// undelivered reports whether a batch holds rows that wait for delivery.
func undelivered(record Record) bool {
	switch r := record.(type) {
	case *Metrics:
		for i := range r.Rows {
			if r.Rows[i].SpaceID != "" {
				return true
			}
		}
	case *SystemMetrics:
		for i := range r.Rows {
			if r.Rows[i].SpaceID != "" {
				return true
			}
		}
	case *Traces:
		for i := range r.Rows {
			if r.Rows[i].SpaceID != "" {
				return true
			}
		}
	}
	return false
}

// rekeyed returns the record of a copy that is a run of its own.
func rekeyed(record Record, id string) Record {
	switch r := record.(type) {
	case *Metrics:
		rows := make([]MetricsRow, len(r.Rows))
		for i, row := range r.Rows {
			row.LogID, row.SpaceID = "", ""
			rows[i] = row
		}
		return &Metrics{Rows: rows}
	case *SystemMetrics:
		rows := make([]SystemMetricsRow, len(r.Rows))
		for i, row := range r.Rows {
			row.LogID, row.SpaceID = "", ""
			rows[i] = row
		}
		return &SystemMetrics{Rows: rows}
	case *Alerts:
		rows := make([]AlertRow, len(r.Rows))
		for i, row := range r.Rows {
			row.AlertID = ""
			rows[i] = row
		}
		return &Alerts{Rows: rows}
	case *Traces:
		rows := make([]TraceRow, len(r.Rows))
		for i, row := range r.Rows {
			row.ID, row.LogID, row.SpaceID = id+":"+row.ID, "", ""
			rows[i] = row
		}
		return &Traces{Rows: rows}
	}
	return record
}
