package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// What the commands print with --json, fields in the order of Python's command
// line. White space is left to TestJSONLayout.
var readCases = []struct {
	args []string
	want string
}{
	{[]string{"list", "projects"}, `{"projects":["other","p"]}`},
	{[]string{"list", "runs", "--project", "p."},
		`{"project":"p.","runs":["first","team/a 1","team/a 1","-quiet"],"run_records":[` +
			`{"id":"id-first","name":"first","created_at":"2026-01-01T00:00:00+00:00","last_step":3,"updated_at":"2026-01-01T00:03:00+00:00"},` +
			`{"id":"id-old","name":"team/a 1","created_at":"2026-01-01T01:00:00+00:00","last_step":7,"updated_at":"2026-01-01T01:00:00+00:00"},` +
			`{"id":"id-new","name":"team/a 1","created_at":"2026-01-01T02:00:00+00:00","last_step":7,"updated_at":"2026-01-01T02:00:00+00:00"},` +
			`{"id":"id-quiet","name":"-quiet","created_at":"2026-01-01T03:00:00+00:00","last_step":null,"updated_at":null}]}`},
	{[]string{"list", "metrics", "--project", "p", "--run", "first"},
		`{"project":"p","run":"first","metrics":["img","loss","n","notes","t"]}`},
	{[]string{"list", "metrics", "--project", "p", "--run=-quiet"}, `{"project":"p","run":"-quiet","metrics":[]}`},
	{[]string{"list", "metrics", "--project", "p", "--run", "id-first"},
		`{"project":"p","run":"first","metrics":["img","loss","n","notes","t"]}`},
	{[]string{"list", "system-metrics", "--project", "p", "--run", "first"},
		`{"project":"p","run":"first","system_metrics":["cpu","gpu/0"]}`},
	{[]string{"list", "alerts", "--project", "p"},
		`{"project":"p","run":null,"level":null,"since":null,"alerts":[` +
			`{"timestamp":"2026-01-01T00:03:00+00:00","run":"first","title":"fyi","text":null,"level":"info","step":null},` +
			`{"timestamp":"2026-01-01T00:02:00+00:00","run":"first","title":"Spike","text":"loss > 5","level":"error","step":2}]}`},
	{[]string{"get", "alerts", "--project", "p", "--run", "first", "--level", "error"},
		`{"project":"p","run":"first","level":"error","since":null,"alerts":[` +
			`{"timestamp":"2026-01-01T00:02:00+00:00","run":"first","title":"Spike","text":"loss > 5","level":"error","step":2}]}`},
	// After the very moment, and in another zone: 01:02 at +01:00 is 00:02 UTC.
	{[]string{"get", "alerts", "--project", "p", "--since", "2026-01-01T01:02:00+01:00"},
		`{"project":"p","run":null,"level":null,"since":"2026-01-01T01:02:00+01:00","alerts":[` +
			`{"timestamp":"2026-01-01T00:03:00+00:00","run":"first","title":"fyi","text":null,"level":"info","step":null}]}`},
	{[]string{"list", "reports", "--project", "p"},
		`{"project":"p","run":null,"reports":[{"run":"first","report":"notes","step":3,"timestamp":"2026-01-01T00:03:00+00:00","content":"# Hi\nthere"}]}`},
	{[]string{"list", "reports", "--project", "other", "--run", "x"}, `{"project":"other","run":"x","reports":[]}`},
	{[]string{"get", "report", "--project", "p", "--run", "first", "--report", "notes"},
		`{"project":"p","run":"first","report":"notes","values":[{"run":"first","report":"notes","step":3,"timestamp":"2026-01-01T00:03:00+00:00","content":"# Hi\nthere"}]}`},
	{[]string{"get", "project", "--project", "other"},
		`{"project":"other","num_runs":1,"runs":[{"id":"id-x","name":"x","created_at":"2026-01-01T00:00:00+00:00"}],"last_activity":7}`},
	{[]string{"get", "run", "--project", "p", "--run", "first"},
		`{"project":"p","run":"first","run_id":"id-first","num_logs":4,"metrics":["img","loss","n","notes","t"],` +
			`"config":{"lr":1.0,"big":9007199254740993,"x":"Infinity","model":{"depth":50}},"last_step":3}`},
	{[]string{"get", "run", "--project", "p", "--run", "team/a 1"},
		`{"project":"p","run":"team/a 1","run_id":"id-new","num_logs":1,"metrics":["loss"],"config":null,"last_step":7}`},
	{[]string{"get", "run", "--project", "p", "--run-id", "id-old"},
		`{"project":"p","run":"team/a 1","run_id":"id-old","num_logs":1,"metrics":["loss"],"config":null,"last_step":7}`},
	{[]string{"get", "metric", "--project", "p", "--run", "first", "--metric", "loss"},
		`{"project":"p","run":"first","metric":"loss","values":[` +
			`{"timestamp":"2026-01-01T00:00:00+00:00","step":0,"value":1.0},` +
			`{"timestamp":"2026-01-01T00:01:00+00:00","step":1,"value":"NaN"},` +
			`{"timestamp":"2026-01-01T00:02:00+00:00","step":2,"value":0.250},` +
			`{"timestamp":"2026-01-01T00:03:00+00:00","step":3,"value":2e-3}]}`},
	{[]string{"get", "metric", "--project", "p", "--run", "first", "--metric", "loss", "--around", "3", "--window", "1"},
		`{"project":"p","run":"first","metric":"loss","values":[` +
			`{"timestamp":"2026-01-01T00:02:00+00:00","step":2,"value":0.250},` +
			`{"timestamp":"2026-01-01T00:03:00+00:00","step":3,"value":2e-3}]}`},
	{[]string{"get", "metric", "--project", "p", "--run", "first", "--metric", "loss", "--at-time", "2025-12-31T22:01:30-02:00", "--window", "30"},
		`{"project":"p","run":"first","metric":"loss","values":[` +
			`{"timestamp":"2026-01-01T00:01:00+00:00","step":1,"value":"NaN"},` +
			`{"timestamp":"2026-01-01T00:02:00+00:00","step":2,"value":0.250}]}`},
	{[]string{"get", "metric", "--project", "p", "--run", "first", "--metric", "n", "--step", "0"},
		`{"project":"p","run":"first","metric":"n","values":[]}`},
	{[]string{"get", "metric", "--project", "p", "--run", "first", "--metric", "n"},
		`{"project":"p","run":"first","metric":"n","values":[{"timestamp":"2026-01-01T00:01:00+00:00","step":1,"value":9007199254740993}]}`},
	{[]string{"get", "snapshot", "--project", "p", "--run", "first", "--step", "0"},
		`{"project":"p","run":"first","metrics":{"loss":[{"timestamp":"2026-01-01T00:00:00+00:00","step":0,"value":1.0}],` +
			`"img":[{"timestamp":"2026-01-01T00:00:00+00:00","step":0,"value":{"_type":"trackio.image","file_path":"p/first/0/a.png","caption":null}}]},"step":0}`},
	{[]string{"get", "snapshot", "--project", "p", "--run", "first", "--around", "9", "--window", "2"},
		`{"project":"p","run":"first","metrics":{},"around":9,"window":2}`},
	{[]string{"get", "snapshot", "--project", "p", "--run", "first", "--at-time", "2026-01-01T00:02:00Z", "--window", "0"},
		`{"project":"p","run":"first","metrics":{"loss":[{"timestamp":"2026-01-01T00:02:00+00:00","step":2,"value":0.250}],` +
			`"t":[{"timestamp":"2026-01-01T00:02:00+00:00","step":2,"value":{"_type":"trackio.table","_value":[{"i":{"_type":"trackio.image","file_path":"elsewhere/b.png"}}]}}]},` +
			`"at_time":"2026-01-01T00:02:00Z","window":0}`},
	{[]string{"get", "system-metric", "--project", "p", "--run", "first", "--metric", "cpu"},
		`{"project":"p","run":"first","metric":"cpu","values":[{"cpu":3,"timestamp":"2026-01-01T00:01:00+00:00"},{"cpu":"NaN","timestamp":"2026-01-01T00:02:00+00:00"}]}`},
	{[]string{"get", "system-metric", "--project", "p", "--run", "first"},
		`{"project":"p","run":"first","system_metrics":[{"cpu":3,"gpu/0":50.0,"timestamp":"2026-01-01T00:01:00+00:00"},{"cpu":"NaN","timestamp":"2026-01-01T00:02:00+00:00"}]}`},
	{[]string{"get", "system-metric", "--project", "other", "--run", "x"}, `{"project":"other","run":"x","system_metrics":[]}`},
}

func TestReadJSON(t *testing.T) {
	backends := map[string]func(trackio.Backend) trackio.Backend{
		"capable": nil,
		"plain":   func(b trackio.Backend) trackio.Backend { return plain{b} },
	}
	for name, wrap := range backends {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fill()
			r.wrap = wrap
			for _, c := range readCases {
				out := r.ok(append(c.args, "--json")...)
				var compact bytes.Buffer
				if err := json.Compact(&compact, []byte(out)); err != nil {
					t.Errorf("trackio %q: %v\n%s", c.args, err, out)
				} else if got := compact.String(); got != c.want {
					t.Errorf("trackio %q:\n got %s\nwant %s", c.args, got, c.want)
				}
			}
		})
	}
}

func TestJSONLayout(t *testing.T) {
	r := newRig(t)
	r.fill()
	want := `{
  "project": "p",
  "run": "first",
  "metric": "n",
  "values": [
    {
      "timestamp": "2026-01-01T00:01:00+00:00",
      "step": 1,
      "value": 9007199254740993
    }
  ]
}
`
	if got := r.ok("get", "metric", "--project", "p", "--run", "first", "--metric", "n", "--json"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	want = "{\n  \"project\": \"p\",\n  \"run\": \"-quiet\",\n  \"metrics\": []\n}\n"
	if got := r.ok("list", "metrics", "--project", "p", "--run=-quiet", "--json"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTables(t *testing.T) {
	r := newRig(t)
	r.fill()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "projects"}, "other\np\n"},
		{[]string{"list", "runs", "--project", "other"}, "" +
			"NAME  CREATED              LAST STEP  AGE\n" +
			"x     2026-01-01 00:00:00          7  31d\n"},
		{[]string{"list", "runs", "--project", "p"}, "" +
			"NAME      ID        CREATED              LAST STEP  AGE\n" +
			"first     id-first  2026-01-01 00:00:00          3  31d\n" +
			"team/a 1  id-old    2026-01-01 01:00:00          7  31d\n" +
			"team/a 1  id-new    2026-01-01 02:00:00          7  31d\n" +
			"-quiet    id-quiet  2026-01-01 03:00:00          -  31d\n"},
		{[]string{"get", "metric", "--project", "p", "--run", "first", "--metric", "img"}, "" +
			"STEP  TIME                 VALUE\n" +
			"   0  2026-01-01 00:00:00  image p/first/0/a.png\n"},
		{[]string{"get", "run", "--project", "p", "--run", "first"}, "" +
			"Run        first\n" +
			"ID         id-first\n" +
			"Project    p\n" +
			"Created    2026-01-01 00:00:00 (31d ago)\n" +
			"Updated    2026-01-01 00:03:00\n" +
			"Last step  3\n" +
			"Rows       4 metric rows, 2 system metric rows, 2 alert rows\n" +
			"Metrics    img, loss, n, notes, t\n" +
			"System     cpu, gpu/0\n" +
			"\nConfig\n" +
			"  lr     1.0\n" +
			"  big    9007199254740993\n" +
			"  x      Infinity\n" +
			"  model  {\"depth\":50}\n"},
		{[]string{"list", "alerts", "--project", "p"}, "" +
			"TIME                 LEVEL  RUN    STEP  TITLE  TEXT\n" +
			"2026-01-01 00:03:00  info   first     -  fyi\n" +
			"2026-01-01 00:02:00  error  first     2  Spike  loss > 5\n"},
		{[]string{"get", "report", "--project", "p", "--run", "first", "--report", "notes"}, "" +
			"step 3, 2026-01-01 00:03:00\n# Hi\nthere\n"},
		{[]string{"get", "snapshot", "--project", "p", "--run", "first", "--step", "2"}, "" +
			"METRIC  STEP  TIME                 VALUE\n" +
			"loss       2  2026-01-01 00:02:00  0.250\n" +
			"t          2  2026-01-01 00:02:00  table of 1 row\n"},
		{[]string{"get", "system-metric", "--project", "p", "--run", "first", "--metric", "cpu"}, "" +
			"TIME                 METRIC  VALUE\n" +
			"2026-01-01 00:01:00  cpu     3\n" +
			"2026-01-01 00:02:00  cpu     NaN\n"},
	} {
		if got := r.ok(c.args...); got != c.want {
			t.Errorf("trackio %q:\n got:\n%s\nwant:\n%s", c.args, got, c.want)
		}
	}
}

// A run without a name is told by its id.
func TestRunWithoutName(t *testing.T) {
	r := newRig(t)
	r.add("p", "id-1", "", begin())
	if got := r.ok("list", "runs", "--project", "p"); !strings.Contains(got, "id-1") {
		t.Errorf("got %s", got)
	}
}

// Nothing found is said on stderr: stdout stays data.
func TestEmptyResults(t *testing.T) {
	r := newRig(t)
	got := r.run("list", "projects")
	if got.code != 0 || got.out != "" || got.errOut == "" {
		t.Errorf("list projects of an empty storage: %+v", got)
	}
	if !strings.Contains(got.errOut, "trackio backends") {
		t.Errorf("nothing says where there are no projects: %q", got.errOut)
	}
	r.fill()
	for _, args := range [][]string{
		{"list", "metrics", "--project", "p", "--run=-quiet"},
		{"list", "system-metrics", "--project", "p", "--run=-quiet"},
		{"list", "alerts", "--project", "other"},
		{"list", "reports", "--project", "other"},
		{"get", "metric", "--project", "p", "--run", "first", "--metric", "n", "--step", "3"},
		{"get", "snapshot", "--project", "p", "--run", "first", "--step", "99"},
		{"get", "system-metric", "--project", "other", "--run", "x"},
	} {
		if got := r.run(args...); got.code != 0 || got.out != "" || got.errOut == "" {
			t.Errorf("trackio %q: %+v", args, got)
		}
	}
}
