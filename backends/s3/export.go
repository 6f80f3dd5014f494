package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"iter"
	"sync"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/backends/s3/internal/rows"
	"github.com/trackio-go/trackio/trackio"
)

// ExportRun implements [trackio.Backend]. The data of a run never changes, so
// every export is one snapshot.
func (b *Backend) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer leave()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // what is read ahead
		r, err := b.find(ctx, ref)
		if err != nil {
			yield(nil, err)
			return
		}
		b.export(ctx, ref.Project, r, opts, yield)
	}
}

// export sends a run of a project as it was found there.
func (b *Backend) export(ctx context.Context, project string, r *ledger.Run, opts trackio.ExportOptions, yield func(trackio.Record, error) bool) {
	e := &exporting{b: b, ctx: ctx, run: r, opts: opts, yield: yield}
	if opts.Kinds == 0 {
		e.opts.Kinds = trackio.AllKinds
	}
	if err := e.all(project); err != nil && !e.left {
		yield(nil, b.explain(ctx, trackio.RunRef{Project: project, ID: r.ID}, r, err))
	}
}

// exporting is an export under way. Its methods end early, without an error, when
// the reader has left.
type exporting struct {
	b        *Backend
	ctx      context.Context
	run      *ledger.Run
	manifest *manifest
	opts     trackio.ExportOptions
	yield    func(trackio.Record, error) bool
	left     bool
}

func (e *exporting) send(r trackio.Record) bool {
	e.left = e.left || !e.yield(r, nil)
	return !e.left
}

func (e *exporting) all(project string) (err error) {
	if e.manifest, err = e.b.manifestOf(e.ctx, e.run); err != nil {
		return err
	}
	info, err := e.b.info(e.ctx, project, e.run)
	if err != nil {
		return err
	}
	kinds := e.opts.Kinds
	if !e.send(&trackio.Header{RunInfo: info, Kinds: kinds}) {
		return nil
	}
	if kinds.Has(trackio.KindConfig) && e.manifest.Config != nil &&
		!e.send(&trackio.Config{JSON: []byte(e.manifest.Config), CreatedAt: e.manifest.ConfigCreatedAt}) {
		return nil
	}
	for _, step := range [...]struct {
		kind trackio.Kinds
		send func(*exporting) error
	}{
		{trackio.KindMetrics, func(e *exporting) error {
			return sendRows(e, "metrics", func(batch []trackio.MetricsRow) trackio.Record { return &trackio.Metrics{Rows: batch} })
		}},
		{trackio.KindSystemMetrics, func(e *exporting) error {
			return sendRows(e, "system_metrics", func(batch []trackio.SystemMetricsRow) trackio.Record { return &trackio.SystemMetrics{Rows: batch} })
		}},
		{trackio.KindAlerts, func(e *exporting) error {
			return sendRows(e, "alerts", func(batch []trackio.AlertRow) trackio.Record { return &trackio.Alerts{Rows: batch} })
		}},
		{trackio.KindTraces, func(e *exporting) error {
			return sendRows(e, "traces", func(batch []trackio.TraceRow) trackio.Record { return &trackio.Traces{Rows: batch} })
		}},
		{trackio.KindMedia, (*exporting).media},
	} {
		if !kinds.Has(step.kind) {
			continue
		}
		if err := step.send(e); err != nil || e.left {
			return err
		}
	}
	return nil
}

// sendRows sends one kind of rows, leaving out the row groups that hold none
// that is wanted.
func sendRows[R rows.Row](e *exporting, kind string, record func([]R) trackio.Record) error {
	f, ok := e.manifest.Files[kind]
	if !ok {
		return nil
	}
	object := object{b: e.b, key: dataKey(e.run.Data, f.Key)}
	wanted := rows.Options{Steps: e.opts.Steps, Times: e.opts.Times, Rows: f.Rows, Footer: f.Footer}
	for batch, err := range rows.Read[R](e.ctx, object, f.Size, wanted) {
		if err != nil {
			return err
		}
		if !e.send(record(batch)) {
			return nil
		}
	}
	return nil
}

// object is a stored object of which parts are read, one request each.
type object struct {
	b   *Backend
	key string
}

// ReadAt implements [rows.Source].
func (o object) ReadAt(ctx context.Context, p []byte, offset int64) error {
	r, err := o.b.bucket.NewReader(ctx, o.key, offset, int64(len(p)))
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.ReadFull(r, p)
	return err
}

// mediaAhead is how many small files are fetched before they are asked for, and
// mediaAheadBytes how much of them is held.
const (
	mediaAhead      = 32
	mediaAheadBytes = 64 << 20
)

// media sends the files. Small ones are fetched beside each other, and checked
// before they are sent; a large one is checked while it is read, and fails at its
// end if it is not what was stored.
func (e *exporting) media() error {
	if e.opts.NoBodies {
		for entry, err := range e.b.mediaOf(e.ctx, e.run, e.manifest) {
			if err != nil {
				return err
			}
			if !e.send(entry.record(nil)) {
				return nil
			}
		}
		return nil
	}
	ahead := &readAhead{e: e}
	defer ahead.wait()
	for entry, err := range e.b.mediaOf(e.ctx, e.run, e.manifest) {
		if err != nil {
			return err
		}
		for ahead.full(entry.Size) {
			if err := ahead.next(); err != nil || e.left {
				return err
			}
		}
		ahead.start(entry)
	}
	for len(ahead.files) > 0 {
		if err := ahead.next(); err != nil || e.left {
			return err
		}
	}
	return nil
}

func (m mediaEntry) record(body io.Reader) *trackio.Media {
	return &trackio.Media{Path: m.Path, Size: m.Size, SHA256: m.SHA256, Missing: m.Missing, Body: body}
}

// readAhead fetches files in the order in which they will be sent.
type readAhead struct {
	e     *exporting
	files []*fetched
	bytes int64
	tasks sync.WaitGroup
}

// fetched is a file on its way; a large one is opened when its turn comes.
type fetched struct {
	entry mediaEntry
	body  []byte
	err   error
	done  chan struct{}
}

func (f *fetched) held() int64 {
	if f.entry.Size > smallMedia {
		return 0
	}
	return f.entry.Size
}

func (a *readAhead) full(size int64) bool {
	return len(a.files) >= mediaAhead || len(a.files) > 0 && size <= smallMedia && a.bytes+size > mediaAheadBytes
}

func (a *readAhead) start(entry mediaEntry) {
	f := &fetched{entry: entry, done: make(chan struct{})}
	a.files = append(a.files, f)
	a.bytes += f.held()
	if entry.Missing || entry.Size > smallMedia {
		close(f.done)
		return
	}
	a.tasks.Go(func() {
		defer close(f.done)
		key := dataKey(a.e.run.Data, entry.Key)
		if f.body, f.err = a.e.b.bucket.Get(a.e.ctx, key); f.err != nil {
			return
		}
		sum := sha256.Sum256(f.body)
		f.err = entry.check(key, int64(len(f.body)), sum[:])
	})
}

// check compares what came with what was stored.
func (m mediaEntry) check(key string, size int64, sum []byte) error {
	if size != m.Size {
		return errDamaged(key, "media %q has %d bytes, not %d", m.Path, size, m.Size)
	}
	if got := hex.EncodeToString(sum); got != m.SHA256 {
		return errDamaged(key, "media %q has SHA-256 %s, not %s", m.Path, got, m.SHA256)
	}
	return nil
}

// next sends the oldest file.
func (a *readAhead) next() error {
	f := a.files[0]
	a.files = a.files[1:]
	a.bytes -= f.held()
	<-f.done
	e := a.e
	switch {
	case f.err != nil:
		return f.err
	case f.entry.Missing:
		e.send(f.entry.record(nil))
		return nil
	case f.entry.Size <= smallMedia:
		e.send(f.entry.record(bytes.NewReader(f.body)))
		return nil
	}
	key := dataKey(e.run.Data, f.entry.Key)
	r, err := e.b.bucket.NewReader(e.ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	body := &checkedReader{r: r, sum: sha256.New(), check: func(size int64, sum []byte) error { return f.entry.check(key, size, sum) }}
	e.send(f.entry.record(body))
	return nil
}

// wait ends what is still on its way.
func (a *readAhead) wait() { a.tasks.Wait() }

// checkedReader checks, at the end, what it has read.
type checkedReader struct {
	r     io.Reader
	sum   hash.Hash
	size  int64
	check func(size int64, sum []byte) error
}

func (r *checkedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.size += int64(n)
	r.sum.Write(p[:n])
	if err == io.EOF {
		if failed := r.check(r.size, r.sum.Sum(nil)); failed != nil {
			return n, failed
		}
	}
	return n, err
}
