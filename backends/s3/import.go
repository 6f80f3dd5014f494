package s3

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/backends/s3/internal/rows"
	"github.com/trackio-go/trackio/trackio"
)

// tidyTime is how long the objects of an import that failed are removed for;
// what is left then is collected some day.
const tidyTime = 20 * time.Second

// ImportRun implements [trackio.Backend]. Everything is written to a directory of
// its own that nobody looks at; one commit makes it a run.
func (b *Backend) ImportRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer leave()
	info, err := b.importRun(ctx, ref, records)
	return info, cause(ctx, err)
}

func (b *Backend) importRun(ctx context.Context, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (trackio.RunInfo, error) {
	if ref.Project == "" || ref.Project != trackio.CanonicalProject(ref.Project) {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "%q is no name of a project", ref.Project)
	}
	if !utf8.ValidString(ref.ID) {
		return trackio.RunInfo{}, trackio.Errorf(trackio.ErrInvalid, "%q cannot be the id of a run in a bucket: it is not UTF-8", ref.ID)
	}
	if err := b.writable(ctx); err != nil {
		return trackio.RunInfo{}, err
	}
	switch _, err := b.find(ctx, ref); { // before reading a long stream for nothing
	case err == nil:
		return trackio.RunInfo{}, errTaken(ref)
	case !errors.Is(err, trackio.ErrNotFound):
		return trackio.RunInfo{}, err
	}
	begun, err := b.ledger.Begin(ctx)
	if err != nil {
		return trackio.RunInfo{}, err
	}
	defer begun.End()
	run, err := b.store(ctx, begun.Data(), ref, records)
	if err != nil {
		b.discard(ctx, begun.Data())
		return trackio.RunInfo{}, err
	}
	seq, err := b.ledger.Commit(ctx, func(ctx context.Context, state *ledger.State) ([]ledger.Action, error) {
		switch _, err := runIn(ctx, state, ref); {
		case err == nil:
			return nil, errTaken(ref)
		case !errors.Is(err, trackio.ErrNotFound):
			return nil, err
		}
		return []ledger.Action{ledger.Add(ref.Project, run)}, begun.Err()
	})
	if err != nil {
		if !errors.Is(err, ledger.ErrOutcomeUnknown) {
			b.discard(ctx, begun.Data())
		}
		return trackio.RunInfo{}, err
	}
	run.Commit = seq
	return b.committed(ctx, ref.Project, run), nil
}

func errTaken(ref trackio.RunRef) error {
	return trackio.Errorf(trackio.ErrExists, "project %q has a run %q already", ref.Project, ref.ID).
		WithHint("delete or move that run first")
}

// discard removes the objects of an import that came to nothing.
func (b *Backend) discard(ctx context.Context, data string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	if err := b.removeData(ctx, data); err != nil {
		trackio.Note(ctx, "objects of an import that failed are left in the bucket, under data/%s/; trackio gc removes them: %v", data, err)
	}
}

// listsAtOnce is how many data directories are looked through at once when
// several are removed.
const listsAtOnce = 8

// removeData deletes every object of data directories that no run refers to.
func (b *Backend) removeData(ctx context.Context, data ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	share := (len(data) + listsAtOnce - 1) / listsAtOnce
	for some := range slices.Chunk(data, max(share, 1)) {
		group.Go(func() error { return b.removeSome(ctx, some) })
	}
	return group.Wait()
}

func (b *Backend) removeSome(ctx context.Context, data []string) error {
	const batch = 4000 // which a bucket deletes in several requests at once
	var keys []string
	for _, d := range data {
		for object, err := range b.bucket.List(ctx, dataKey(d, "")) {
			if err != nil {
				return err
			}
			if keys = append(keys, object.Key); len(keys) < batch {
				continue
			}
			if err := b.bucket.Delete(ctx, keys); err != nil {
				return err
			}
			keys = keys[:0]
		}
	}
	return b.bucket.Delete(ctx, keys)
}

// store writes the stream of a run to a data directory, the manifest last.
func (b *Backend) store(ctx context.Context, data string, ref trackio.RunRef, records iter.Seq2[trackio.Record, error]) (*ledger.Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &storing{b: b, ctx: ctx, data: data, run: &ledger.Run{ID: ref.ID, Data: data}, media: b.startMedia(ctx, data)}
	s.manifest.Version, s.manifest.NamesComplete = manifestVersion, true
	s.manifest.MetricNames, s.manifest.SystemMetrics = []string{}, []string{}
	s.manifest.Files = map[string]rowFile{}
	for record, err := range trackio.Checked(records) {
		if err == nil {
			err = s.add(record)
		}
		if err != nil {
			cancel()
			s.abort(err)
			return nil, err
		}
	}
	if err := s.end(); err != nil {
		cancel()
		s.abort(err)
		return nil, err
	}
	return s.run, nil
}

// storing is an import under way.
type storing struct {
	b        *Backend
	ctx      context.Context
	data     string
	run      *ledger.Run
	manifest manifest
	config   *trackio.Config
	first    []string // earliest timestamps of the kinds of rows
	last     []string
	rows     closer // of the kind of rows that is being written
	media    *mediaUpload
}

// closer is a file of rows under way, of whatever kind.
type closer interface {
	end(s *storing) error
	abort(err error)
}

func (s *storing) add(record trackio.Record) error {
	switch record := record.(type) {
	case *trackio.Header:
		if !utf8.ValidString(record.Name) {
			return trackio.Errorf(trackio.ErrInvalid, "%q cannot be the name of a run in a bucket: it is not UTF-8", record.Name)
		}
		s.run.Name = record.Name
		s.run.CreatedAt = trackio.FormatTime(record.CreatedAt) // unless something tells better
		return nil
	case *trackio.Config:
		s.config = &trackio.Config{JSON: slices.Clone(record.JSON), CreatedAt: record.CreatedAt}
		return nil
	case *trackio.Metrics:
		return addRows(s, "metrics", record.Rows)
	case *trackio.SystemMetrics:
		return addRows(s, "system_metrics", record.Rows)
	case *trackio.Alerts:
		return addRows(s, "alerts", record.Rows)
	case *trackio.Traces:
		return addRows(s, "traces", record.Rows)
	case *trackio.Media:
		if err := s.endRows(); err != nil {
			return err
		}
		return s.media.add(record)
	}
	return trackio.Errorf(errors.ErrUnsupported, "records of type %T cannot be stored", record)
}

// file is the file of one kind of rows under way.
type file[R rows.Row] struct {
	kind   string
	object *upload
	rows   *rows.Writer[R]
}

func addRows[R rows.Row](s *storing, kind string, batch []R) error {
	if len(batch) == 0 {
		return nil
	}
	f, ok := s.rows.(*file[R])
	if !ok {
		if err := s.endRows(); err != nil {
			return err
		}
		object := s.b.startUpload(s.ctx, dataKey(s.data, kind+".parquet"), typeParquet)
		f = &file[R]{kind: kind, object: object, rows: rows.NewWriter[R](object)}
		s.rows = f
	}
	return f.rows.Write(batch)
}

func (f *file[R]) abort(err error) { f.object.abort(err) }

func (f *file[R]) end(s *storing) error {
	sum, err := f.rows.Close()
	if err != nil {
		return err
	}
	if err := f.object.end(); err != nil {
		return err
	}
	s.manifest.Files[f.kind] = rowFile{Key: f.kind + ".parquet", Size: f.object.size, Rows: sum.Rows, Footer: sum.Footer}
	s.run.Bytes += f.object.size
	s.run.Undelivered += sum.Undelivered
	s.first, s.last = append(s.first, sum.First), append(s.last, sum.Last)
	s.manifest.NamesComplete = s.manifest.NamesComplete && !sum.NamesCut
	switch f.kind {
	case "metrics":
		s.run.Rows.Metrics, s.run.LastStep, s.manifest.MetricNames = sum.Rows, sum.LastStep, sum.Names
		s.run.CreatedAt = sum.First
	case "system_metrics":
		s.run.Rows.SystemMetrics, s.manifest.SystemMetrics = sum.Rows, sum.Names
	case "alerts":
		s.run.Rows.Alerts = sum.Rows
	case "traces":
		s.run.Rows.Traces = sum.Rows
	}
	return nil
}

// endRows ends the file of the kind of rows that came last.
func (s *storing) endRows() error {
	if s.rows == nil {
		return nil
	}
	f := s.rows
	s.rows = nil
	if err := f.end(s); err != nil {
		f.abort(err)
		return err
	}
	return nil
}

// end ends the files and writes the manifest.
func (s *storing) end() error {
	if err := s.endRows(); err != nil {
		return err
	}
	index, err := s.media.end()
	if err != nil {
		return err
	}
	r := s.run
	switch {
	case r.Rows.Metrics > 0: // as they say
	case len(s.first) > 0:
		r.CreatedAt = slices.Min(s.first)
	case s.config != nil && s.config.CreatedAt != "":
		r.CreatedAt = s.config.CreatedAt
	}
	if len(s.last) > 0 {
		r.UpdatedAt = slices.Max(s.last)
	}
	if index != nil {
		s.manifest.Media, r.Media = index, index.Files
		r.Bytes += index.Size + s.media.bytes
	}
	if s.config != nil {
		s.manifest.Config, s.manifest.ConfigCreatedAt = exact(s.config.JSON), s.config.CreatedAt
		if r.Config, err = s.manifest.Config.MarshalJSON(); err != nil {
			return err
		}
		if r.ConfigInManifest = len(r.Config) > ledger.MaxConfig; r.ConfigInManifest {
			r.Config = nil
		}
	}
	body, err := marshal(s.manifest)
	if err != nil {
		return err
	}
	r.Manifest = digest(body)
	r.Bytes += int64(len(body))
	return s.b.bucket.Put(s.ctx, dataKey(s.data, manifestName), body, typeJSON)
}

// abort ends what is under way after an error.
func (s *storing) abort(err error) {
	if s.rows != nil {
		s.rows.abort(err)
	}
	s.media.abort(err)
}
