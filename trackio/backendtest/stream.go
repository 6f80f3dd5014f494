package backendtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

func streamChecks() []Check {
	return []Check{
		{"stream/round-trip", "ExportRun yields the run as a stream of records (see [Record]), all of it from one snapshot.", streamRoundTrip},
		{"stream/payload-bytes", "Payloads are opaque JSON bytes: key order, number tokens and white space are kept.", streamPayloadBytes},
		{"stream/row-order", "each kind ordered by (timestamp as text, order of insertion)", streamRowOrder},
		{"stream/timestamps", "ISO 8601 text, kept as it is", streamTimestamps},
		{"stream/optional-fields", "nil when none was given", streamOptionalFields},
		{"stream/space-ids", "not \"\": not yet delivered to that Space", streamSpaceIDs},
		{"stream/digest", "Two runs with the same id and the same digest are the same run, whatever their history and wherever they are stored", streamDigest},
		{"stream/header", "Revision is that of the snapshot which is exported.", streamHeader},
		{"stream/header-ref", "An importer takes the Name from it and ignores its RunRef; CreatedAt follows from the rows.", streamHeaderRef},
		{"stream/many-rows", "the rows, in batches of any length", streamManyRows},
		{"stream/large-row", "A stream that ends without an error is whole", streamLargeRow},
		{"stream/own-output", "the same digest are the same run, whatever their history", streamOwnOutput},
	}
}

// roundTrip imports a run and compares what another handle finds.
func roundTrip(ctx context.Context, e *Env, r run) (trackio.RunRef, error) {
	ref := e.ref()
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return ref, err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return ref, err
	}
	if err := holds(ctx, e.Backend, ref, r); err != nil {
		return ref, err
	}
	if err := holds(ctx, other, ref, r); err != nil {
		return ref, fmt.Errorf("through another handle: %w", err)
	}
	return ref, nil
}

func streamRoundTrip(ctx context.Context, e *Env) error {
	_, err := roundTrip(ctx, e, full(e.Key(), "everything"))
	return err
}

// tokens are payloads that a careless storage changes.
var tokens = [...]string{
	`{}`,
	`{"a":1,"b":1.0,"c":1e0,"d":1E+2,"e":-0,"f":-0.0,"g":0.10}`,
	`{"int64":9223372036854775807,"past 2^53":9007199254740993,"past int64":18446744073709551616,"past float64":1e400,"tiny":1e-400}`,
	`{"long":0.1000000000000000055511151231257827021181583404541015625}`,
	`{"z":1,"a":2,"m":{"z":1,"a":2}}`,
	`{"twice":1,"twice":2}`,
	`{ "white" : [ 1 ,	2 ] , "space":
 true }`,
	`{"slash":"a\/b","plain":"a/b","unicode":"\u00e9é","surrogate":"\ud83d\ude00","lone":"\ud800","zero":"\u0000","html":"<&>"}`,
	`{"nan":"NaN","inf":"Infinity","ninf":"-Infinity","null":null,"empty":"","list":[],"object":{}}`,
	`{"":"empty key","a.b":1,"a\/b":2,"$.x":3,"'; DROP TABLE metrics; --":4}`,
	`{"_type":"trackio.image","no path":true}`,
	`{"file_path":"not/a/reference.png"}`,
	`{"x":{"_type":"other.image","file_path":"not/a/reference.png"}}`,
	`{"x":{"_type":"trackio.image","file_path":7},"text":"\"_type\":\"trackio.image\",\"file_path\":\"0/a.png\""}`,
}

func streamPayloadBytes(ctx context.Context, e *Env) error {
	for _, token := range tokens {
		key := e.Key()
		payload := json.RawMessage(token)
		r := run{
			name:    "payload",
			config:  &trackio.Config{JSON: payload, CreatedAt: stamp(0)},
			metrics: []trackio.MetricsRow{metricsRow(key, 0, token)},
			system:  []trackio.SystemMetricsRow{{Timestamp: stamp(0), Metrics: payload, LogID: key}},
			traces: []trackio.TraceRow{{
				ID: key, Timestamp: stamp(0), Key: "k", LogID: key + "t",
				Messages: json.RawMessage(`[` + token + `]`), Metadata: payload,
			}},
		}
		ref := e.ref()
		if _, err := put(ctx, e.Backend, ref, r); err != nil {
			return fmt.Errorf("payload %s: %w", token, err)
		}
		got, _, err := export(ctx, e.Backend, ref, trackio.ExportOptions{})
		if err != nil {
			return fmt.Errorf("payload %s: %w", token, err)
		}
		if err := diff(r, got); err != nil {
			return err
		}
	}
	return nil
}

func streamRowOrder(ctx context.Context, e *Env) error {
	key := e.Key()
	var r run
	for i := range 40 {
		when := stamp(i / 10)
		r.metrics = append(r.metrics, trackio.MetricsRow{
			Timestamp: when, Step: int64(100 - i), LogID: fmt.Sprintf("%s-%d", key, (i*7)%40),
			Metrics: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i)),
		})
		r.system = append(r.system, trackio.SystemMetricsRow{Timestamp: when, Metrics: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i))})
		r.alerts = append(r.alerts, trackio.AlertRow{Timestamp: when, Title: fmt.Sprint((i * 7) % 40), Level: "info"})
		r.traces = append(r.traces, trackio.TraceRow{
			ID: fmt.Sprintf("%s-%d", key, (i*7)%40), Timestamp: when, Key: "k",
			Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`),
		})
	}
	_, err := roundTrip(ctx, e, r)
	return err
}

func streamTimestamps(ctx context.Context, e *Env) error {
	key := e.Key()
	var r run
	for i, when := range []string{
		"2026-01-01", "2026-01-01 09:00:00", "2026-01-01T10:00:00", "2026-01-01T10:00:00+00:00", "2026-01-01T10:00:00-08:00",
		"2026-01-01T10:00:00.000001+00:00", "2026-01-01T10:00:00.5+00:00", "2026-01-01T10:00:00.500000+00:00",
		"2026-01-01T10:00:00Z", "2026-01-01T23:59:59.123456789+05:45",
	} {
		row := metricsRow(key, i, `{"i":1}`)
		row.Timestamp = when
		r.metrics = append(r.metrics, row)
		r.system = append(r.system, trackio.SystemMetricsRow{Timestamp: when, Metrics: json.RawMessage(`{}`)})
		r.alerts = append(r.alerts, trackio.AlertRow{Timestamp: when, Title: "t", Level: "info"})
		r.traces = append(r.traces, trackio.TraceRow{
			ID: fmt.Sprint(key, i), Timestamp: when, Key: "k", Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`),
		})
	}
	_, err := roundTrip(ctx, e, r)
	return err
}

func streamOptionalFields(ctx context.Context, e *Env) error {
	key := e.Key()
	r := run{
		name: "optional",
		metrics: []trackio.MetricsRow{
			{Timestamp: stamp(0), Metrics: json.RawMessage(`{}`)},
			{Timestamp: stamp(1), Step: -1, Metrics: json.RawMessage(`{}`)},
			{Timestamp: stamp(2), Step: 1 << 62, Metrics: json.RawMessage(`{}`), LogID: key},
		},
		system: []trackio.SystemMetricsRow{
			{Timestamp: stamp(0), Metrics: json.RawMessage(`{}`)},
			{Timestamp: stamp(1), Metrics: json.RawMessage(`{}`)},
		},
		alerts: []trackio.AlertRow{
			{Timestamp: stamp(0), Title: "nothing", Level: "info"},
			{Timestamp: stamp(1), Title: "empty", Text: new(""), Level: "warn", Step: new(int64(0))},
			{Timestamp: stamp(2), Title: "all", Text: new("text"), Level: "error", Step: new(int64(-5)), AlertID: key},
			{Timestamp: stamp(3)},
		},
		traces: []trackio.TraceRow{
			{ID: key + "0", Timestamp: stamp(0), Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`)},
			{ID: key + "1", Timestamp: stamp(1), Key: "k", TraceIndex: new(int64(0)), Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`)},
			{ID: key + "2", Timestamp: stamp(2), Key: "k", TraceIndex: new(int64(7)), Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`), SearchText: "s", LogID: key + "t"},
		},
	}
	_, err := roundTrip(ctx, e, r)
	return err
}

func streamSpaceIDs(ctx context.Context, e *Env) error {
	key := e.Key()
	r := run{name: "undelivered", metrics: []trackio.MetricsRow{
		{Timestamp: stamp(0), Metrics: json.RawMessage(`{}`), LogID: key + "0", SpaceID: "user/space"},
		{Timestamp: stamp(1), Metrics: json.RawMessage(`{}`), LogID: key + "1"},
		{Timestamp: stamp(2), Metrics: json.RawMessage(`{}`), SpaceID: "user/other space"},
	}, system: []trackio.SystemMetricsRow{
		{Timestamp: stamp(0), Metrics: json.RawMessage(`{}`), SpaceID: "user/space"},
	}, traces: []trackio.TraceRow{
		{ID: key, Timestamp: stamp(0), Messages: json.RawMessage(`[]`), Metadata: json.RawMessage(`{}`), SpaceID: "user/space"},
	}}
	_, err := roundTrip(ctx, e, r)
	return err
}

// digestOf reads a stream and sums it up.
func digestOf(records iter.Seq2[trackio.Record, error]) (string, error) {
	d := trackio.NewDigest()
	for record, err := range trackio.Checked(records) {
		if err != nil {
			return "", err
		}
		if m, ok := record.(*trackio.Media); ok {
			f, err := readMedia(m, m.Body != nil)
			if err != nil {
				return "", err
			}
			record = &trackio.Media{Path: f.path, Size: f.size, SHA256: f.sha, Missing: f.missing}
		}
		d.Add(record)
	}
	return d.Sum(), nil
}

func streamDigest(ctx context.Context, e *Env) error {
	r := full(e.Key(), "digest")
	ref := e.ref()
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	for _, b := range []trackio.Backend{e.Backend, other} {
		for _, noBodies := range []bool{false, true} {
			got, err := digestOf(b.ExportRun(ctx, ref, trackio.ExportOptions{NoBodies: noBodies}))
			if err != nil {
				return fmt.Errorf("ExportRun(%s) with NoBodies=%t: %w", at(ref), noBodies, err)
			}
			if want := r.digest(); got != want {
				return fmt.Errorf("with NoBodies=%t the digest is %s, want that of the imported stream, %s", noBodies, got, want)
			}
		}
	}
	return nil
}

func streamHeader(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := full(e.Key(), "header")
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	info, err := e.Backend.GetRun(ctx, ref)
	if err != nil {
		return fmt.Errorf("GetRun(%s): %w", at(ref), err)
	}
	_, header, err := export(ctx, e.Backend, ref, trackio.ExportOptions{})
	switch {
	case err != nil:
		return err
	case header.RunRef != ref:
		return fmt.Errorf("the header names the run %s, want %s", at(header.RunRef), at(ref))
	case header.Name != r.name:
		return fmt.Errorf("the header has the name %q, want %q", header.Name, r.name)
	case header.Revision != info.Revision:
		return fmt.Errorf("the header has the revision %q, GetRun has %q", header.Revision, info.Revision)
	}
	return sameTime("CreatedAt of the header", r.createdAt(), header.CreatedAt)
}

func streamHeaderRef(ctx context.Context, e *Env) error {
	decoy, ref := e.ref(), e.ref()
	want := small(e.Key(), "named in the header")
	if _, err := put(ctx, e.Backend, decoy, small(e.Key(), "decoy")); err != nil {
		return err
	}
	records := func(yield func(trackio.Record, error) bool) {
		for i, record := range want.list(1) {
			if i == 0 {
				record.(*trackio.Header).RunRef = decoy
			}
			if !yield(record, nil) {
				return
			}
		}
	}
	info, err := e.Backend.ImportRun(ctx, ref, records)
	if err != nil {
		return fmt.Errorf("ImportRun(%s): %w", at(ref), err)
	}
	if info.RunRef != ref || info.Name != want.name {
		return fmt.Errorf("ImportRun returned the run %s named %q, want %s named %q", at(info.RunRef), info.Name, at(ref), want.name)
	}
	return holds(ctx, e.Backend, ref, want)
}

func streamManyRows(ctx context.Context, e *Env) error {
	key := e.Key()
	var r run
	for i := range 5000 {
		r.metrics = append(r.metrics, metricsRow(key, i, fmt.Sprintf(`{"loss":%d.5,"step":%d}`, i, i)))
	}
	for i := range 1200 {
		r.system = append(r.system, trackio.SystemMetricsRow{Timestamp: stamp(i), Metrics: json.RawMessage(`{"gpu":0.5}`)})
	}
	ref := e.ref()
	for _, batch := range []int{1, 777} {
		records := func(yield func(trackio.Record, error) bool) {
			for _, record := range r.list(batch) {
				if !yield(record, nil) {
					return
				}
			}
		}
		ref.ID = fmt.Sprintf("%s-%d", e.Key(), batch)
		ref.Project = e.Project()
		if _, err := e.Backend.ImportRun(ctx, ref, records); err != nil {
			return fmt.Errorf("ImportRun(%s) in batches of %d rows: %w", at(ref), batch, err)
		}
		if err := holds(ctx, e.Backend, ref, r); err != nil {
			return fmt.Errorf("in batches of %d rows: %w", batch, err)
		}
	}
	return nil
}

// streamLargeRow has a row above the 4 MiB that a gRPC message may have unless
// somebody raised the limit.
func streamLargeRow(ctx context.Context, e *Env) error {
	key := e.Key()
	text := `{"text":"` + strings.Repeat("0123456789abcdef", 5<<16) + `"}`
	r := run{name: "large row", metrics: []trackio.MetricsRow{
		metricsRow(key, 0, `{"before":1}`), metricsRow(key, 1, text), metricsRow(key, 2, `{"after":1}`),
	}}
	_, err := roundTrip(ctx, e, r)
	return err
}

// streamOwnOutput imports what the backend itself exports, as a copy does.
func streamOwnOutput(ctx context.Context, e *Env) error {
	ref := e.ref()
	r := full(e.Key(), "copy of a copy")
	if _, err := put(ctx, e.Backend, ref, r); err != nil {
		return err
	}
	other, err := e.Second(ctx)
	if err != nil {
		return err
	}
	again := trackio.RunRef{Project: e.Project(), ID: ref.ID}
	_, err = other.ImportRun(ctx, again, e.Backend.ExportRun(ctx, ref, trackio.ExportOptions{}))
	if err != nil {
		return fmt.Errorf("ImportRun(%s) of the backend's own export: %w", at(again), err)
	}
	return errors.Join(holds(ctx, e.Backend, again, r), holds(ctx, e.Backend, ref, r))
}
