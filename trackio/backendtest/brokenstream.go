package backendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/trackio-go/trackio/trackio"
)

func brokenStreamChecks() []Check {
	return []Check{
		{"import/rules", "Checked passes a stream of records on and ends it with [ErrInvalid] at the first record that breaks the order or the rules described at [Record]", importRules},
		{"import/bodies", "Body holds exactly Size bytes and is valid until the next record is asked for.", importBodies},
	}
}

func importRules(ctx context.Context, e *Env) error {
	key := e.Key()
	r := full(key, "rules")
	var (
		header  = &trackio.Header{RunInfo: trackio.RunInfo{Name: "rules"}, Kinds: trackio.AllKinds}
		config  = &trackio.Config{JSON: json.RawMessage(`{}`)}
		metrics = &trackio.Metrics{Rows: r.metrics[:1]}
		system  = &trackio.SystemMetrics{Rows: r.system[:1]}
		alerts  = &trackio.Alerts{Rows: r.alerts[:1]}
		traces  = &trackio.Traces{Rows: r.traces[:1]}
	)
	later := func(i int) trackio.MetricsRow { return metricsRow(key, 100+i, `{"loss":1}`) }
	media := func(path string) *trackio.Media {
		return &trackio.Media{Path: path, Size: 1, Body: bytes.NewReader([]byte("x"))}
	}
	for _, broken := range []struct {
		what    string
		records []trackio.Record
	}{
		{"an empty stream", nil},
		{"no header", []trackio.Record{config, metrics}},
		{"a header that comes late", []trackio.Record{metrics, header}},
		{"two headers", []trackio.Record{header, metrics, header}},
		{"two configs", []trackio.Record{header, config, config}},
		{"a config after metrics", []trackio.Record{header, metrics, config}},
		{"metrics after system metrics", []trackio.Record{header, system, metrics}},
		{"metrics after alerts", []trackio.Record{header, alerts, metrics}},
		{"alerts after traces", []trackio.Record{header, traces, alerts}},
		{"rows after media", []trackio.Record{header, media("0/a.png"), metrics}},
		{"a kind that the header does not announce", []trackio.Record{&trackio.Header{Kinds: trackio.KindConfig}, config, metrics}},
		{"rows out of the order of their timestamps", []trackio.Record{header, &trackio.Metrics{Rows: []trackio.MetricsRow{later(1), later(2), later(0)}}}},
		{"a batch of rows that are older than those before it", []trackio.Record{header, &trackio.Metrics{Rows: []trackio.MetricsRow{later(1)}}, metrics}},
		{"system metrics out of order", []trackio.Record{header, &trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{r.system[1], r.system[0]}}}},
		{"alerts out of order", []trackio.Record{header, &trackio.Alerts{Rows: []trackio.AlertRow{r.alerts[1], r.alerts[0]}}}},
		{"traces out of order", []trackio.Record{header, &trackio.Traces{Rows: []trackio.TraceRow{r.traces[1], r.traces[0]}}}},
		{"a config that is not JSON", []trackio.Record{header, &trackio.Config{JSON: json.RawMessage(`{"a":NaN}`)}}},
		{"a row that is not JSON", []trackio.Record{header, metrics, &trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: stamp(9), Metrics: json.RawMessage(`{"a":`)}}}}},
		{"a trace that is not JSON", []trackio.Record{header, &trackio.Traces{Rows: []trackio.TraceRow{{ID: key, Timestamp: stamp(9), Messages: json.RawMessage(`[]`)}}}}},
		{"an empty path", []trackio.Record{header, metrics, media("")}},
		{"an absolute path", []trackio.Record{header, metrics, media("/etc/backendtest")}},
		{"a path that leads out", []trackio.Record{header, metrics, media("../../backendtest")}},
		{"a path that leads out on a detour", []trackio.Record{header, metrics, media("0/../../backendtest")}},
		{"a path that is not clean", []trackio.Record{header, metrics, media("0//a.png")}},
		{"a path with backslashes", []trackio.Record{header, metrics, media(`0\a.png`)}},
		{"a path that comes twice", []trackio.Record{header, metrics, media("0/a.png"), media("0/a.png")}},
		{"paths out of order", []trackio.Record{header, metrics, media("1/a.png"), media("0/a.png")}},
	} {
		ref := e.ref()
		records := func(yield func(trackio.Record, error) bool) {
			for _, record := range broken.records {
				if !yield(record, nil) {
					return
				}
			}
		}
		_, err := e.Backend.ImportRun(ctx, ref, records)
		if err := wantKind("ImportRun of a stream with "+broken.what, err, trackio.ErrInvalid); err != nil {
			return err
		}
		if err := absent(ctx, e.Backend, ref); err != nil {
			return fmt.Errorf("after an import of a stream with %s: %w", broken.what, err)
		}
		if err := noProject(ctx, e.Backend, ref.Project); err != nil {
			return fmt.Errorf("after an import of a stream with %s: %w", broken.what, err)
		}
	}
	return nil
}

// failing is a reader that breaks off with an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func importBodies(ctx context.Context, e *Env) error {
	large := noise(8, 600<<10)
	broken := trackio.Errorf(trackio.ErrUnavailable, "the source went away")
	for _, c := range []struct {
		what string
		body io.Reader
	}{
		{"no body", nil},
		{"an empty body instead of 600 KiB", bytes.NewReader(nil)},
		{"a body that ends early", bytes.NewReader(large[:500<<10])},
		{"a body that fails at once", failing{broken}},
		{"a body that fails on its way", io.MultiReader(bytes.NewReader(large[:500<<10]), failing{broken})},
		{"a body that fails at its end", io.MultiReader(bytes.NewReader(large[:len(large)-1]), failing{errors.New("disk error")})},
	} {
		ref := e.ref()
		want := withMedia(e.Key(), "bodies", newFile("0/a.png", []byte("whole")), newFile("1/b.bin", large), newFile("2/c.png", []byte("after")))
		records := func(yield func(trackio.Record, error) bool) {
			for _, record := range want.list(9) {
				if m, ok := record.(*trackio.Media); ok && m.Path == "1/b.bin" {
					m.Body, m.SHA256 = c.body, ""
				}
				if !yield(record, nil) {
					return
				}
			}
		}
		_, err := e.Backend.ImportRun(ctx, ref, records)
		if err := anyError(ctx, "ImportRun of media with "+c.what, err); err != nil {
			return err
		}
		if err := nothingLeft(ctx, e, ref, want); err != nil {
			return fmt.Errorf("after media with %s: %w", c.what, err)
		}
		if err := deleteAll(ctx, e.Backend, slices.Values([]trackio.RunRef{ref})); err != nil {
			return err
		}
	}
	return nil
}
