package trackio_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func importCases() []transferCase {
	after := func(r *rig, err error) {
		r.to.importRun = func(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
			if _, failed := r.to.Backend.ImportRun(ctx, ref, records); failed != nil {
				return trackio.RunInfo{}, failed
			}
			return trackio.RunInfo{}, err
		}
	}
	instead := func(r *rig, err error) {
		r.to.importRun = func(context.Context, trackio.RunRef, recordSeq) (trackio.RunInfo, error) {
			return trackio.RunInfo{}, err
		}
	}
	// part stores the run up to its media and leaves the stream.
	part := func(r *rig, err error) {
		r.to.importRun = func(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
			info, failed := r.to.Backend.ImportRun(ctx, ref, func(yield func(trackio.Record, error) bool) {
				for record, err := range records {
					if _, ok := record.(*trackio.Media); ok || !yield(record, err) {
						return
					}
				}
			})
			return info, errors.Join(failed, err)
		}
	}
	return []transferCase{
		{name: "nothing goes wrong", target: whole},
		{name: "import dies though it happened", spoil: func(r *rig) { after(r, died) }, target: whole},
		{name: "import is unavailable though it happened", spoil: func(r *rig) { after(r, away) }, target: whole},
		{name: "import has a bare deadline though it happened", spoil: func(r *rig) { after(r, context.DeadlineExceeded) }, target: whole},
		{name: "import fails without a kind though it happened", spoil: func(r *rig) { after(r, io.ErrClosedPipe) }, target: whole},
		{name: "import dies and did not happen", spoil: func(r *rig) { instead(r, died) }, kind: trackio.ErrBackendDied, target: none},
		{name: "import is unavailable", spoil: func(r *rig) { instead(r, away) }, kind: trackio.ErrUnavailable, target: none},
		{name: "import is refused", spoil: func(r *rig) { instead(r, refused) }, kind: trackio.ErrPermission, target: none},
		{name: "import is not supported", spoil: func(r *rig) { instead(r, errors.ErrUnsupported) }, kind: errors.ErrUnsupported, target: none},
		{name: "import dies and nobody can look", spoil: func(r *rig) {
			after(r, died)
			r.to.exportRun = func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq { return sequence(nil, away) }
		}, kind: trackio.ErrBackendDied, says: "it is not known whether", target: whole},
		{name: "import dies and has stored a part", spoil: func(r *rig) { part(r, died) }, kind: trackio.ErrConflict, says: "content is another", target: other},
		{name: "import stores a part and calls it done", spoil: func(r *rig) { part(r, nil) }, kind: trackio.ErrDataLoss, says: "before all of the run had passed", target: none},
		{name: "import reads nothing and calls it done", spoil: func(r *rig) { instead(r, nil) }, kind: trackio.ErrDataLoss, says: "before all of the run had passed", target: none},
		{name: "import reads all and stores nothing", spoil: func(r *rig) {
			r.to.importRun = func(_ context.Context, _ trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
				for _, err := range records {
					if err != nil {
						return trackio.RunInfo{}, err
					}
				}
				return trackio.RunInfo{Revision: "9"}, nil
			}
		}, kind: trackio.ErrDataLoss, says: "is not there", target: none},
		{name: "import has the files already", spoil: func(r *rig) { // as a store that keeps them by their sums
			r.to.importRun = importing(r.to.Backend, func(record trackio.Record) trackio.Record {
				if m, ok := record.(*trackio.Media); ok && !m.Missing {
					return withBody(m, map[string]string{"2/a.png": "the bytes of a", "3/b.png": "bytes of b"}[m.Path])
				}
				return record
			})
		}, target: whole},
	}
}

func corruptionCases() []transferCase {
	cases := []transferCase{}
	for name, change := range map[string]func(trackio.Record) trackio.Record{
		"a row lost": func(record trackio.Record) trackio.Record {
			if m, ok := record.(*trackio.Metrics); ok {
				return &trackio.Metrics{Rows: m.Rows[:1]}
			}
			return record
		},
		"a byte of a file changed": onMedia("2/a.png", func(m *trackio.Media) trackio.Record { return withBody(m, "the bytes of A") }),
		"a file missing":           onMedia("2/a.png", func(m *trackio.Media) trackio.Record { return &trackio.Media{Path: m.Path, Missing: true} }),
		"a file dropped":           onMedia("2/a.png", func(*trackio.Media) trackio.Record { return nil }),
		"bodies not read":          onMedia("2/a.png", func(m *trackio.Media) trackio.Record { return withBody(m, "") }),
		"a missing file made up":   onMedia("4/gone.png", func(m *trackio.Media) trackio.Record { return withBody(m, "") }),
		"no config": func(record trackio.Record) trackio.Record {
			if _, ok := record.(*trackio.Config); ok {
				return nil
			}
			return record
		},
	} {
		cases = append(cases, transferCase{
			name: "copy has " + name, kind: trackio.ErrDataLoss, says: "not what was read", target: none,
			spoil: func(r *rig) { r.to.importRun = importing(r.to.Backend, change) },
		})
	}
	unread := func(r *rig) {
		r.to.exportRun = func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq { return sequence(nil, away) }
	}
	return append(cases,
		transferCase{name: "copy cannot be read back", spoil: unread, kind: trackio.ErrUnavailable, says: "could not be compared", target: none},
		transferCase{name: "copy can neither be read back nor removed", spoil: func(r *rig) {
			unread(r)
			r.to.deleteRun = func(context.Context, trackio.RunRef, trackio.DeleteOptions) error { return away }
		}, kind: trackio.ErrUnavailable, says: "was not taken away again", target: whole},
		transferCase{name: "copy cannot be read back and has no revision", spoil: func(r *rig) {
			unread(r)
			r.to.importRun = func(ctx context.Context, ref trackio.RunRef, records recordSeq) (trackio.RunInfo, error) {
				_, err := r.to.Backend.ImportRun(ctx, ref, records)
				return trackio.RunInfo{}, err
			}
		}, kind: trackio.ErrUnavailable, says: "was not taken away again", target: whole},
		transferCase{name: "copy is corrupt and the run is gone", spoil: func(r *rig) { // what is left may be of use
			r.to.importRun = importing(r.to.Backend, func(record trackio.Record) trackio.Record {
				if _, ok := record.(*trackio.Alerts); ok {
					if err := r.sourceHandle.DeleteRun(context.Background(), here, trackio.DeleteOptions{}); err != nil {
						r.t.Error(err)
					}
					return nil
				}
				return record
			})
		}, kind: trackio.ErrDataLoss, says: "was not taken away again", source: none, target: other},
	)
}

func sourceCases() []transferCase {
	fail := func(r *rig, with error) {
		r.from.exportRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.ExportOptions) recordSeq {
			return func(yield func(trackio.Record, error) bool) {
				n := 0
				for record, err := range r.from.Backend.ExportRun(ctx, ref, opts) {
					if n++; n == 4 {
						yield(nil, with)
						return
					}
					if !yield(record, err) {
						return
					}
				}
			}
		}
	}
	return []transferCase{
		{name: "source fails in the middle", spoil: func(r *rig) { fail(r, trackio.Errorf(trackio.ErrDataLoss, "a page is damaged")) },
			kind: trackio.ErrDataLoss, says: "a page is damaged", target: none},
		{name: "source becomes unavailable", spoil: func(r *rig) { fail(r, away) }, kind: trackio.ErrUnavailable, target: none},
		{name: "source ends without a record", spoil: func(r *rig) {
			r.from.exportRun = func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq { return sequence(nil, nil) }
		}, kind: trackio.ErrInvalid, target: none},
		{name: "file of the source is shorter than it says", spoil: func(r *rig) {
			r.from.exportRun = exporting(r.from.Backend, onMedia("2/a.png", func(m *trackio.Media) trackio.Record {
				return &trackio.Media{Path: m.Path, Size: m.Size, SHA256: m.SHA256, Body: strings.NewReader("the")}
			}))
		}, kind: trackio.ErrDataLoss, target: none},
		{name: "file of the source has no body", spoil: func(r *rig) {
			r.from.exportRun = exporting(r.from.Backend, onMedia("2/a.png", func(m *trackio.Media) trackio.Record {
				return &trackio.Media{Path: m.Path, Size: m.Size, SHA256: m.SHA256}
			}))
		}, kind: trackio.ErrDataLoss, says: "without its bytes", target: none},
		{name: "source has undelivered rows", spoil: func(r *rig) {
			r.replace(r.sourceHandle, here, undelivered())
			r.load()
		}, kind: trackio.ErrConflict, says: "not delivered", target: none},
		{name: "source is written to", only: "move", spoil: func(r *rig) {
			all := sampleRun()
			all[4].(*trackio.Alerts).Rows[0].Timestamp = trackio.FormatTime(time.Now())
			r.replace(r.sourceHandle, here, all)
			r.load()
		}, kind: trackio.ErrConflict, says: "still being written to", source: other, target: none},
		{name: "source has no revisions", only: "move", spoil: func(r *rig) {
			r.from.exportRun = exporting(r.from.Backend, func(record trackio.Record) trackio.Record {
				if h, ok := record.(*trackio.Header); ok {
					h.Revision = ""
				}
				return record
			})
		}, kind: errors.ErrUnsupported, says: "does not tell one state", target: none},
		{name: "source is gone", spoil: func(r *rig) {
			if err := r.sourceHandle.DeleteRun(context.Background(), here, trackio.DeleteOptions{}); err != nil {
				r.t.Fatal(err)
			}
		}, kind: trackio.ErrNotFound, source: none, target: none},
	}
}

func deletionCases() []transferCase {
	before := func(change func(r *rig)) func(r *rig) {
		return func(r *rig) {
			r.from.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				change(r)
				return r.from.Backend.DeleteRun(ctx, ref, opts)
			}
		}
	}
	deletion := func(happens bool, err error) func(r *rig) {
		return func(r *rig) {
			r.from.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				if happens {
					if err := r.from.Backend.DeleteRun(ctx, ref, opts); err != nil {
						return err
					}
				}
				return err
			}
		}
	}
	grow := func(r *rig) { r.replace(r.sourceHandle, here, grown()) }
	cases := []transferCase{
		{name: "source grows before its deletion", spoil: before(grow), kind: trackio.ErrConflict, says: "it is where it was", source: other, target: none},
		{name: "source grows and so does the copy", spoil: before(func(r *rig) {
			grow(r)
			r.replace(r.targetHandle, there, grown())
		}), kind: trackio.ErrConflict, says: "was not taken away again", source: other, target: other},
		{name: "source grows and cannot be seen any more", spoil: before(func(r *rig) {
			grow(r)
			r.from.getRun = func(context.Context, trackio.RunRef) (trackio.RunInfo, error) { return trackio.RunInfo{}, away }
		}), kind: trackio.ErrConflict, says: "was not taken away again", source: other, target: whole},
		{name: "source is deleted by another", spoil: before(func(r *rig) {
			if err := r.sourceHandle.DeleteRun(context.Background(), here, trackio.DeleteOptions{}); err != nil {
				r.t.Error(err)
			}
		}), kind: trackio.ErrConflict, says: "deleted or moved by somebody else", source: none, target: whole},
		{name: "deletion is refused", spoil: deletion(false, refused), kind: trackio.ErrPermission, says: "it is where it was", target: none},
		{name: "deletion is not supported", spoil: deletion(false, errors.ErrUnsupported), kind: errors.ErrUnsupported, target: none},
		{name: "deletion finds damage", spoil: deletion(false, trackio.Errorf(trackio.ErrDataLoss, "torn page")), kind: trackio.ErrDataLoss, says: "is whole in project", target: whole},
		{name: "deletion is unavailable though it happened", spoil: deletion(true, away), target: whole},
		{name: "deletion dies though it happened", spoil: deletion(true, died), target: whole},
		{name: "deletion fails without a kind though it happened", spoil: deletion(true, io.ErrClosedPipe), target: whole},
		{name: "deletion has a bare deadline though it happened", spoil: deletion(true, context.DeadlineExceeded), target: whole},
		{name: "deletion is unavailable", spoil: deletion(false, away), kind: trackio.ErrUnavailable, says: "move it again", target: whole},
		{name: "deletion dies", spoil: deletion(false, died), kind: trackio.ErrBackendDied, says: "move it again", target: whole},
		{name: "deletion happened and nobody can look", spoil: func(r *rig) {
			deletion(true, died)(r)
			deleted := r.from.deleteRun
			r.from.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				r.from.getRun = func(context.Context, trackio.RunRef) (trackio.RunInfo, error) { return trackio.RunInfo{}, died }
				return deleted(ctx, ref, opts)
			}
		}, kind: trackio.ErrBackendDied, says: "not known", source: none, target: whole},
	}
	for i := range cases {
		cases[i].only = "move"
	}
	return cases
}

func existingCases() []transferCase {
	has := func(records func() []trackio.Record) func(r *rig) {
		return func(r *rig) { r.put(r.targetHandle, there, records()) }
	}
	return []transferCase{
		{name: "target has the same run", only: "copy", spoil: has(sampleRun), kind: trackio.ErrExists, says: "very same run", target: whole},
		{name: "target has the same run of an interrupted move", only: "move", spoil: has(sampleRun), target: whole},
		{name: "target has another run of that id", spoil: has(grown), kind: trackio.ErrExists, says: "both were kept", target: other},
		{name: "target has the same run and the source grows", only: "move", spoil: func(r *rig) {
			has(sampleRun)(r)
			r.from.deleteRun = func(ctx context.Context, ref trackio.RunRef, opts trackio.DeleteOptions) error {
				r.replace(r.sourceHandle, here, grown())
				return r.from.Backend.DeleteRun(ctx, ref, opts)
			}
		}, kind: trackio.ErrConflict, says: "is whole in project", source: other, target: whole},
		{name: "target has the same run and rows are not delivered", spoil: func(r *rig) {
			has(sampleRun)(r)
			r.replace(r.sourceHandle, here, undelivered())
			r.load()
		}, kind: trackio.ErrConflict, says: "not delivered", target: whole},
		{name: "target has the same run but cannot be read", spoil: func(r *rig) {
			has(sampleRun)(r)
			r.to.exportRun = func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq { return sequence(nil, away) }
		}, kind: trackio.ErrUnavailable, says: "not compared to its end", target: whole},
		{name: "neither storage tells the sums of files", spoil: func(r *rig) {
			has(func() []trackio.Record {
				return append(sampleRun()[:6], withBody(&trackio.Media{Path: "2/a.png"}, "the bytes of X"), withBody(&trackio.Media{Path: "3/b.png"}, "bytes of b"), sampleRun()[8])
			})(r)
			bare := onMedia("2/a.png", func(m *trackio.Media) trackio.Record {
				return &trackio.Media{Path: m.Path, Size: m.Size, Body: m.Body}
			})
			r.from.exportRun, r.to.exportRun = exporting(r.from.Backend, bare), exporting(r.to.Backend, bare)
		}, kind: trackio.ErrDataLoss, says: "cannot be compared", target: other},
		{name: "both storages yield nothing", spoil: func(r *rig) {
			has(sampleRun)(r)
			empty := func(context.Context, trackio.RunRef, trackio.ExportOptions) recordSeq { return sequence(nil, nil) }
			r.from.exportRun, r.to.exportRun = empty, empty
		}, kind: trackio.ErrDataLoss, says: "before its header", target: whole},
	}
}
