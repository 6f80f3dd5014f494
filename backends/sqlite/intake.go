package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/trackio-go/trackio/backends/internal/bucket"
)

// intake takes in the media of an import: to the disk ([diskIntake]) or into a
// bucket ([bucketIntake]).
type intake interface {
	mediaChange
	// choose returns the file_path that a file is to have.
	choose(rel string) string
	// add takes a file, which is to go to a place that was chosen. The body ends
	// in an error when it is not what the stream says it is.
	add(ctx context.Context, to string, body io.Reader, size int64) error
	// flush returns when every file that was added is stored.
	flush() error
	// moved are the places that were taken meanwhile, and those used instead.
	moved() map[string]string
	close()
}

// newIntake returns the intake for an import, whose staging directory is dir.
func (b *Backend) newIntake(op *operation, dir string) (intake, error) {
	if b.bucket != nil {
		return &bucketIntake{b: b, op: op}, nil
	}
	staged, err := openMediaTree(b.dir, dir)
	if err != nil {
		return nil, err
	}
	target, err := openMediaTree(b.dir, b.media())
	if err != nil {
		staged.close()
		return nil, err
	}
	return &diskIntake{placing: placing{tree: target, source: staged}, b: b, op: op, rels: map[string]string{}}, nil
}

// diskIntake writes the files numbered beside the staged rows; before the commit
// they get their names by a hard link.
type diskIntake struct {
	placing
	b       *Backend
	op      *operation
	rels    map[string]string // by the place that was chosen
	instead map[string]string
}

func (d *diskIntake) choose(rel string) string {
	to := joinRef(rel, d.op.Target, d.op.RunName)
	if d.tree.exists(to) {
		to = joinPrivate(rel, d.op.Target, d.op.NewID, d.op.ID)
	}
	d.rels[to] = rel
	return to
}

func (d *diskIntake) add(ctx context.Context, to string, body io.Reader, _ int64) error {
	from := fmt.Sprintf("%08d", len(d.op.Files))
	if _, err := d.source.write(ctx, from, body); err != nil {
		return err
	}
	d.op.Files = append(d.op.Files, opFile{From: from, To: to})
	return nil
}

func (d *diskIntake) flush() error { return nil }

// place implements [mediaChange]. Files whose places were taken since they were
// chosen get one in a directory that is this import's alone.
func (d *diskIntake) place(ctx context.Context) error {
	d.files = d.op.Files
	err := d.placing.place(ctx)
	if !errors.Is(err, errMovedOn) {
		return err
	}
	if err := d.undo(ctx); err != nil {
		return err
	}
	d.instead = map[string]string{}
	for i, f := range d.op.Files {
		if d.tree.exists(f.To) {
			d.op.Files[i].To = joinPrivate(d.rels[f.To], d.op.Target, d.op.NewID, d.op.ID)
			d.instead[f.To] = d.op.Files[i].To
		}
	}
	if err := d.b.journal(d.op); err != nil {
		return err
	}
	return d.placing.place(ctx)
}

func (d *diskIntake) moved() map[string]string { return d.instead }

func (d *diskIntake) close() {
	d.source.close()
	d.tree.close()
}

// bucketIntake sends the files to their places while the stream runs: they are in
// a directory of this operation's own, to which nothing refers before the commit.
// Its journal is written before the first of them. Small files are sent several
// at a time, from memory; a large one is streamed.
type bucketIntake struct {
	b       *Backend
	op      *operation
	store   objects // nil before the first file
	sending errgroup.Group
	failed  atomic.Bool
}

func (k *bucketIntake) choose(rel string) string {
	return joinPrivate(rel, k.op.Target, k.op.NewID, k.op.ID)
}

func (k *bucketIntake) add(ctx context.Context, to string, body io.Reader, size int64) error {
	if err := k.begin(ctx); err != nil {
		return err
	}
	if size > smallFile {
		return wrapErr(k.store.Upload(ctx, to, body, size, bucket.ContentType(to)), "store media file", to)
	}
	var data bytes.Buffer
	data.Grow(int(max(size, 0)) + bytes.MinRead)
	if _, err := data.ReadFrom(contextReader{ctx, body}); err != nil {
		return wrapErr(err, "store media file", to)
	}
	if k.failed.Load() {
		return k.flush()
	}
	// What was sent is seen to its end, which the bucket's own time limits bound,
	// so that nothing arrives after an undo.
	ctx = context.WithoutCancel(ctx)
	k.sending.Go(func() error {
		err := k.store.Put(ctx, to, data.Bytes(), bucket.ContentType(to))
		if err != nil {
			k.failed.Store(true)
		}
		return err
	})
	return nil
}

// begin opens the bucket and writes down that this operation puts something there.
func (k *bucketIntake) begin(ctx context.Context) error {
	if k.store != nil {
		return nil
	}
	store, err := k.b.bucket.writing(ctx)
	if err != nil {
		return err
	}
	k.op.Bucket = k.b.newOpBucket(k.op)
	if err := k.b.journal(k.op); err != nil {
		return err
	}
	k.store = store
	k.sending.SetLimit(mediaAtOnce)
	return nil
}

func (k *bucketIntake) flush() error { return k.sending.Wait() }

func (k *bucketIntake) place(context.Context) error { return nil }
func (k *bucketIntake) check() error                { return nil }

func (k *bucketIntake) undo(ctx context.Context) error {
	_ = k.flush()
	if k.store == nil {
		return nil
	}
	return clearObjects(ctx, k.store, k.op.Bucket.Dir, nil)
}

func (k *bucketIntake) moved() map[string]string { return nil }
func (k *bucketIntake) close()                   {}
