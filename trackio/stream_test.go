package trackio_test

import (
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// sequence is a stream of records, and of an error at its end if there is one.
func sequence(records []trackio.Record, end error) func(func(trackio.Record, error) bool) {
	return func(yield func(trackio.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

func TestChecked(t *testing.T) {
	header := &trackio.Header{Kinds: trackio.AllKinds}
	metrics := &trackio.Metrics{Rows: []trackio.MetricsRow{{Metrics: []byte(`{}`)}}}
	config := &trackio.Config{JSON: []byte(`{}`)}
	media := func(path string) *trackio.Media { return &trackio.Media{Path: path} }
	// stamped are records of one kind with a row of each stamp.
	stamped := func(kind trackio.Kinds, stamps ...string) trackio.Record {
		var (
			m trackio.Metrics
			s trackio.SystemMetrics
			a trackio.Alerts
			t trackio.Traces
		)
		for _, stamp := range stamps {
			m.Rows = append(m.Rows, trackio.MetricsRow{Timestamp: stamp, Metrics: []byte(`{}`)})
			s.Rows = append(s.Rows, trackio.SystemMetricsRow{Timestamp: stamp, Metrics: []byte(`{}`)})
			a.Rows = append(a.Rows, trackio.AlertRow{Timestamp: stamp})
			t.Rows = append(t.Rows, trackio.TraceRow{Timestamp: stamp, Messages: []byte(`[]`), Metadata: []byte(`{}`)})
		}
		return map[trackio.Kinds]trackio.Record{
			trackio.KindMetrics: &m, trackio.KindSystemMetrics: &s, trackio.KindAlerts: &a, trackio.KindTraces: &t,
		}[kind]
	}
	lost := trackio.Errorf(trackio.ErrDataLoss, "lost")
	for _, c := range []struct {
		name    string
		records []trackio.Record
		end     error
		passed  int    // records before the error
		says    string // "" for no error
	}{
		{"everything", digestRecords(), nil, 8, ""},
		{"a header alone", []trackio.Record{header}, nil, 1, ""},
		{"a header of no kinds means all", []trackio.Record{&trackio.Header{}, metrics}, nil, 2, ""},
		{"several batches", []trackio.Record{header, metrics, &trackio.Metrics{}, metrics}, nil, 4, ""},
		{"nothing", nil, nil, 0, "ended before its header"},
		{"an error at once", nil, lost, 0, "lost"},
		{"an error on the way", []trackio.Record{header, metrics}, lost, 2, "lost"},
		{"no header", []trackio.Record{metrics}, nil, 0, "begins with *trackio.Metrics"},
		{"two headers", []trackio.Record{header, header}, nil, 1, "two headers"},
		{"two configs", []trackio.Record{header, config, config}, nil, 2, "out of order"},
		{"a config too late", []trackio.Record{header, metrics, config}, nil, 2, "out of order"},
		{"a kind not announced", []trackio.Record{&trackio.Header{Kinds: trackio.KindConfig}, metrics}, nil, 1, "does not announce"},
		{"a nil record", []trackio.Record{header, nil}, nil, 1, "nil record"},
		{"a config that is not JSON", []trackio.Record{header, &trackio.Config{JSON: []byte(`NaN`)}}, nil, 1, "config is not JSON"},
		{"an empty payload", []trackio.Record{header, &trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{{}}}}, nil, 1, "system metrics row is not JSON"},
		{"messages that are not JSON", []trackio.Record{header, &trackio.Traces{Rows: []trackio.TraceRow{{Metadata: []byte(`{}`)}}}}, nil, 1, "messages of a trace"},
		{"metadata that is not JSON", []trackio.Record{header, &trackio.Traces{Rows: []trackio.TraceRow{{Messages: []byte(`[]`)}}}}, nil, 1, "metadata of a trace"},
		{"a path that leads out", []trackio.Record{header, media("../a")}, nil, 1, "not a clean relative path"},
		{"a path twice", []trackio.Record{header, media("a"), media("a")}, nil, 2, "each once"},
		{"paths out of order", []trackio.Record{header, media("b"), media("a")}, nil, 2, "in byte order"},
		{"rows after media", []trackio.Record{header, media("a"), metrics}, nil, 2, "out of order"},
		{
			"each kind has an order of its own, as text",
			[]trackio.Record{
				header, stamped(trackio.KindMetrics, "", "b", "b"), stamped(trackio.KindMetrics, "b", "c"),
				stamped(trackio.KindSystemMetrics, "10", "9"), stamped(trackio.KindAlerts, "A", "a"), stamped(trackio.KindTraces, "0"),
			}, nil, 6, "",
		},
		{"metrics out of order", []trackio.Record{header, stamped(trackio.KindMetrics, "b", "c", "a")}, nil, 1, `metrics row out of order: that of "a" comes after one of "c"`},
		{"metrics out of order between batches", []trackio.Record{header, stamped(trackio.KindMetrics, "9"), &trackio.Metrics{}, stamped(trackio.KindMetrics, "10")}, nil, 3, `"10" comes after one of "9"`},
		{"system metrics out of order", []trackio.Record{header, stamped(trackio.KindSystemMetrics, "b", "a")}, nil, 1, `system metrics row out of order: that of "a" comes after one of "b"`},
		{"alerts out of order", []trackio.Record{header, stamped(trackio.KindAlerts, "b", "")}, nil, 1, `alert out of order: that of "" comes after one of "b"`},
		{"traces out of order", []trackio.Record{header, stamped(trackio.KindTraces, "b", "a")}, nil, 1, `trace out of order: that of "a" comes after one of "b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			passed, errs := 0, 0
			var last error
			for r, err := range trackio.Checked(sequence(c.records, c.end)) {
				if last = err; err != nil {
					errs++
				} else if passed++; r != c.records[passed-1] {
					t.Errorf("record %d is %#v", passed-1, r)
				}
			}
			if passed != c.passed {
				t.Errorf("%d records passed, want %d", passed, c.passed)
			}
			if c.says == "" {
				if errs != 0 {
					t.Errorf("error %v, want none", last)
				}
				return
			}
			if errs != 1 || last == nil || !strings.Contains(last.Error(), c.says) {
				t.Errorf("%d errors, the last item has %v, want one at the end that says %q", errs, last, c.says)
			}
			if want := map[bool]error{true: trackio.ErrDataLoss, false: trackio.ErrInvalid}[c.end != nil]; trackio.KindOf(last) != want {
				t.Errorf("the kind is %v, want %v", trackio.KindOf(last), want)
			}
		})
	}
}

// TestCheckedLeftEarly sees that a loop which is left leaves the one below too.
func TestCheckedLeftEarly(t *testing.T) {
	released := false
	stream := func(yield func(trackio.Record, error) bool) {
		defer func() { released = true }()
		for yield(&trackio.Header{}, nil) {
			t.Error("the stream is read on after its reader has left")
			return
		}
	}
	for _, err := range trackio.Checked(stream) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if !released {
		t.Error("the stream was not released")
	}
}

func TestCheckMediaPath(t *testing.T) {
	for _, p := range []string{"a", "0/a.png", "..a", "a..", "...", "0/.hidden", "with space/é", "%2e%2e/x", "-", "files/x", "C:/x"} {
		if err := trackio.CheckMediaPath(p); err != nil {
			t.Errorf("CheckMediaPath(%q) = %v, want it accepted", p, err)
		}
	}
	for _, p := range []string{"", ".", "..", "/", "/a", "../a", "a/../b", "a/..", "./a", "a/", "a//b", `a\b`, `..\a`, "a\x00b", "\xff"} {
		if err := trackio.CheckMediaPath(p); trackio.KindOf(err) != trackio.ErrInvalid {
			t.Errorf("CheckMediaPath(%q) = %v, want invalid", p, err)
		}
	}
}

func TestKinds(t *testing.T) {
	if !trackio.Kinds(0).Has(trackio.AllKinds) || !trackio.AllKinds.Has(trackio.KindMedia) {
		t.Error("all kinds hold every kind")
	}
	some := trackio.KindMetrics | trackio.KindAlerts
	if !some.Has(trackio.KindMetrics) || some.Has(trackio.KindMetrics|trackio.KindMedia) || some.Has(trackio.KindConfig) {
		t.Error("a set holds what is in it")
	}
	for i, r := range []trackio.Record{&trackio.Header{}, &trackio.Config{}, &trackio.Metrics{}, &trackio.SystemMetrics{}, &trackio.Alerts{}, &trackio.Traces{}, &trackio.Media{}} {
		if got, want := trackio.KindOfRecord(r), trackio.Kinds(1<<i>>1); got != want {
			t.Errorf("KindOfRecord(%T) = %d, want %d", r, got, want)
		}
	}
}

// wrapper answers for itself which capabilities it has.
type wrapper struct {
	trackio.Backend
	mover trackio.Mover
}

func (w wrapper) As(target any) bool {
	if m, ok := target.(*trackio.Mover); ok && w.mover != nil {
		*m = w.mover
		return true
	}
	return false
}

func TestAs(t *testing.T) {
	b := newMemory(t)
	if _, ok := trackio.As[trackio.Renamer](b); !ok {
		t.Error("a capability in the method set is not found")
	}
	if _, ok := trackio.As[trackio.Renamer](struct{ trackio.Backend }{b}); ok {
		t.Error("a capability behind an embedded interface is found")
	}
	if m, ok := trackio.As[trackio.Mover](wrapper{b, b}); !ok || m != trackio.Mover(b) {
		t.Error("a wrapper's answer is not taken")
	}
	if _, ok := trackio.As[trackio.Mover](wrapper{Backend: b}); ok {
		t.Error("a wrapper that says no is not believed")
	}
	if _, ok := trackio.As[trackio.Renamer](wrapper{b, b}); ok {
		t.Error("a wrapper is passed by for what it does not know")
	}
}
