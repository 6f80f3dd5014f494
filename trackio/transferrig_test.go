package trackio_test

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

type recordSeq = iter.Seq2[trackio.Record, error]

// altered is a handle on a store in memory, without its capabilities, some of whose
// methods a test replaces.
type altered struct {
	trackio.Backend
	getRun    func(context.Context, trackio.RunRef) (trackio.RunInfo, error)
	exportRun func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq
	importRun func(context.Context, trackio.RunRef, recordSeq) (trackio.RunInfo, error)
	deleteRun func(context.Context, trackio.RunRef, trackio.DeleteOptions) error
}

func (a *altered) GetRun(ctx context.Context, ref trackio.RunRef) (trackio.RunInfo, error) {
	if a.getRun != nil {
		return a.getRun(ctx, ref)
	}
	return a.Backend.GetRun(ctx, ref)
}

func (a *altered) ExportRun(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) recordSeq {
	if a.exportRun != nil {
		return a.exportRun(ctx, ref, opts)
	}
	return a.Backend.ExportRun(ctx, ref, opts)
}

func (a *altered) ImportRun(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
	if a.importRun != nil {
		return a.importRun(ctx, ref, records)
	}
	return a.Backend.ImportRun(ctx, ref, records)
}

func (a *altered) DeleteRun(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
	if a.deleteRun != nil {
		return a.deleteRun(ctx, ref, opts)
	}
	return a.Backend.DeleteRun(ctx, ref, opts)
}

// here and there are where the run of these tests is and where it goes.
var (
	here  = trackio.RunRef{Project: "here", ID: "1"}
	there = trackio.RunRef{Project: "there", ID: "1"}
)

// sampleRun is a run with every kind of record, all delivered and long ago.
func sampleRun() []trackio.Record {
	body := func(path, text string) *trackio.Media {
		return &trackio.Media{Path: path, Size: int64(len(text)), Body: strings.NewReader(text)}
	}
	return []trackio.Record{
		&trackio.Header{RunInfo: trackio.RunInfo{Name: "sample"}, Kinds: trackio.AllKinds},
		&trackio.Config{JSON: []byte(`{"lr":0.1}`), CreatedAt: day(1)},
		&trackio.Metrics{Rows: []trackio.MetricsRow{
			{Timestamp: day(1), Step: 1, Metrics: []byte(`{"loss":1.0}`), LogID: "l1"},
			{Timestamp: day(2), Step: 2, Metrics: []byte(`{"p":{"_type":"trackio.image","file_path":"2/a.png"}}`), LogID: "l2"},
		}},
		&trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{{Timestamp: day(1), Metrics: []byte(`{"gpu":1}`), LogID: "l3"}}},
		&trackio.Alerts{Rows: []trackio.AlertRow{{Timestamp: day(1), Title: "t", Level: "warn", AlertID: "a"}}},
		&trackio.Traces{Rows: []trackio.TraceRow{{ID: "t", Timestamp: day(1), Key: "k", Messages: []byte(`[]`), Metadata: []byte(`{}`), LogID: "l4"}}},
		body("2/a.png", "the bytes of a"),
		body("3/b.png", "bytes of b"),
		&trackio.Media{Path: "4/gone.png", Missing: true},
	}
}

// undelivered is the sample with a row that waits for its Space.
func undelivered() []trackio.Record {
	all := sampleRun()
	all[3].(*trackio.SystemMetrics).Rows[0].SpaceID = "user/space"
	return all
}

// grown is the sample with one row more.
func grown() []trackio.Record {
	all := sampleRun()
	m := all[2].(*trackio.Metrics)
	m.Rows = append(m.Rows, trackio.MetricsRow{Timestamp: day(3), Step: 3, Metrics: []byte(`{"loss":0.1}`), LogID: "l9"})
	return all
}

// rig is two storages, of which the first has the sample.
type rig struct {
	t            *testing.T
	source       *memory.Store
	target       *memory.Store
	from, to     *altered
	content      string // the digest of the sample
	run          *trackio.Run
	over         *trackio.Api
	sourceHandle *memory.Backend // an honest look at the source
	targetHandle *memory.Backend
}

// newRig returns a rig. Its stores count their revisions alike when twin is set,
// so that a revision does not tell a copy from the run itself.
func newRig(t *testing.T, twin bool) *rig {
	t.Helper()
	r := &rig{t: t, source: memory.NewStore(), target: memory.NewStore()}
	r.sourceHandle, r.targetHandle = r.source.Open(), r.target.Open()
	r.from, r.to = &altered{Backend: r.source.Open()}, &altered{Backend: r.target.Open()}
	if !twin {
		if err := store(r.sourceHandle, "beside", "x", "x", day(1), ""); err != nil {
			t.Fatal(err)
		}
	}
	r.put(r.sourceHandle, here, sampleRun())
	r.content = contentOf(t, r.sourceHandle, here)
	r.over = trackio.New(r.to)
	r.load()
	return r
}

func (r *rig) put(b trackio.Backend, ref trackio.RunRef, records []trackio.Record) {
	r.t.Helper()
	if _, err := b.ImportRun(context.Background(), ref, sequence(records, nil)); err != nil {
		r.t.Fatal(err)
	}
}

// replace gives a stored run another content.
func (r *rig) replace(b trackio.Backend, ref trackio.RunRef, records []trackio.Record) {
	r.t.Helper()
	if err := b.DeleteRun(context.Background(), ref, trackio.DeleteOptions{Force: true}); err != nil {
		r.t.Fatal(err)
	}
	r.put(b, ref, records)
}

// load looks at the run anew.
func (r *rig) load() {
	r.t.Helper()
	run, err := trackio.New(r.from).Run(context.Background(), here.Project, here.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run = run
}

// contentOf returns the digest of a stored run, worked out from its very bytes;
// "" when it is not there.
func contentOf(t *testing.T, b trackio.Backend, ref trackio.RunRef) string {
	t.Helper()
	digest := trackio.NewDigest()
	for record, err := range b.ExportRun(context.Background(), ref, trackio.ExportOptions{}) {
		if trackio.KindOf(err) == trackio.ErrNotFound {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		digest.Add(record)
	}
	return digest.Sum()
}

// states of a run in one of the places
const (
	none  = "none"
	whole = "whole"
	other = "other"
)

func (r *rig) state(b trackio.Backend, ref trackio.RunRef) string {
	r.t.Helper()
	switch contentOf(r.t, b, ref) {
	case "":
		return none
	case r.content:
		return whole
	}
	return other
}

// expect checks both places, and that there is nothing else in the target.
func (r *rig) expect(source, target string) {
	r.t.Helper()
	if got := r.state(r.sourceHandle, here); got != source {
		r.t.Errorf("the run in its old place: %s, want %s", got, source)
	}
	if got := r.state(r.targetHandle, there); got != target {
		r.t.Errorf("the run in the target: %s, want %s", got, target)
	}
	for project, err := range r.targetHandle.ListProjects(context.Background()) {
		if err != nil || project != there.Project || target == none {
			r.t.Errorf("the target has the project %q (%v)", project, err)
		}
		for info, err := range r.targetHandle.ListRuns(context.Background(), project, trackio.ListOptions{}) {
			if err != nil || info.ID != there.ID {
				r.t.Errorf("the target has the run %q (%v)", info.ID, err)
			}
		}
	}
}

func (r *rig) move(ctx context.Context, opts trackio.MoveOptions) error {
	return r.run.MoveTo(ctx, r.over, there.Project, opts)
}

func (r *rig) copy(ctx context.Context, opts trackio.CopyOptions) error {
	_, err := r.run.Copy(ctx, r.over, there.Project, opts)
	return err
}

// changedRecords passes a stream on with each record replaced by what change
// returns, nil to leave it out.
func changedRecords(in recordSeq, change func(trackio.Record) trackio.Record) recordSeq {
	return func(yield func(trackio.Record, error) bool) {
		for record, err := range in {
			if err == nil {
				if record = change(record); record == nil {
					continue
				}
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// importing makes an importer that stores something else than it is given.
func importing(b trackio.Backend, change func(trackio.Record) trackio.Record) func(context.Context, trackio.RunRef, recordSeq) (trackio.RunInfo, error) {
	return func(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
		return b.ImportRun(ctx, ref, changedRecords(records, change))
	}
}

// exporting makes an exporter that yields something else than is stored.
func exporting(b trackio.Backend, change func(trackio.Record) trackio.Record) func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq {
	return func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) recordSeq {
		return changedRecords(b.ExportRun(ctx, ref, opts), change)
	}
}

// onMedia is a change of one file.
func onMedia(path string, change func(*trackio.Media) trackio.Record) func(trackio.Record) trackio.Record {
	return func(record trackio.Record) trackio.Record {
		if m, ok := record.(*trackio.Media); ok && m.Path == path {
			return change(m)
		}
		return record
	}
}

func withBody(m *trackio.Media, body string) *trackio.Media {
	return &trackio.Media{Path: m.Path, Size: int64(len(body)), Body: bytes.NewReader([]byte(body))}
}
