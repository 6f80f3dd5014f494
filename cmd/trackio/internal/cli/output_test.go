package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Names are data: whatever they contain, a terminal is not driven by them.
func TestNamesAreEscaped(t *testing.T) {
	r := newRig(t)
	evil := "a\x1b[31mb\nc\u202ed\x9be\xff"
	r.add("p", "id\x07", evil, begin(),
		&trackio.Config{JSON: []byte(`{"k\u001b":"v\u001b"}`)},
		&trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: at(0), Metrics: []byte(`{"m\u001b":"x\u001b","r":{"_type":"trackio.markdown","_value":"\u001b]0;t\u0007"}}`)}}},
		&trackio.Alerts{Rows: []trackio.AlertRow{{Timestamp: "\x1b", Title: "t\x1b", Text: pointer("\x1b"), Level: "info"}}},
	)
	for _, args := range [][]string{
		{"list", "runs", "--project", "p"},
		{"get", "run", "--project", "p", "--run-id", "id\x07"},
		{"list", "metrics", "--project", "p", "--run", evil},
		{"get", "snapshot", "--project", "p", "--run", evil, "--step", "0"},
		{"list", "alerts", "--project", "p"},
		{"get", "report", "--project", "p", "--run", evil, "--report", "r"},
		{"get", "run", "--project", "p", "--run", evil + "?"},
		{"delete", "run", "--project", "p", "--run", evil, "--yes"},
	} {
		got := r.run(args...)
		if text := got.out + got.errOut; strings.ContainsAny(text, "\x1b\x07\u202e\u009b") || strings.Contains(text, "\xff") {
			t.Errorf("trackio %q: %q", args, text)
		}
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		tty    bool
		noFlag bool
		vars   map[string]string
		want   bool
	}{
		{true, false, nil, true},
		{false, false, nil, false},
		{true, true, nil, false},
		{true, false, map[string]string{"NO_COLOR": "1"}, false},
		{true, false, map[string]string{"TERM": "dumb"}, false},
	} {
		r := newRig(t)
		r.fill()
		r.env.StdoutTTY, r.env.StderrTTY = c.tty, c.tty
		for key, value := range c.vars {
			r.vars[key] = value
		}
		args := []string{"list", "runs", "--project", "p"}
		if c.noFlag {
			args = append(args, "--no-color")
		}
		if got := strings.Contains(r.ok(args...), "\x1b[1m"); got != c.want {
			t.Errorf("%+v: coloured table: %v", c, got)
		}
		if got := strings.Contains(r.run(append(args, "--nope")...).errOut, "\x1b["); got != c.want {
			t.Errorf("%+v: coloured error: %v", c, got)
		}
	}
}

// On a narrow terminal the name is cut, and no line wraps.
func TestNarrowTerminal(t *testing.T) {
	r := newRig(t)
	r.add("p", "1", strings.Repeat("深", 40), begin())
	r.env.Width = 60
	out := r.ok("list", "runs", "--project", "p")
	want := "NAME                        CREATED              LAST STEP  AGE\n"
	if first, _, _ := strings.Cut(out, "\n"); len(first) > 60 || !strings.Contains(out, "深…") {
		t.Errorf("got\n%swant about\n%s", out, want)
	}
}

// A long table prints as the rows come and holds back only the first ones.
func TestLongTable(t *testing.T) {
	r := newRig(t)
	var rows []trackio.MetricsRow
	for step := range int64(3 * sampleRows) {
		rows = append(rows, trackio.MetricsRow{Timestamp: at(0), Step: step, Metrics: []byte(`{"loss":1}`)})
	}
	r.add("p", "1", "long", begin(), &trackio.Metrics{Rows: rows})
	out := r.ok("get", "metric", "--project", "p", "--run", "long", "--metric", "loss")
	if lines := strings.Count(out, "\n"); lines != len(rows)+1 {
		t.Errorf("%d lines for %d rows", lines, len(rows))
	}
	if strings.Count(out, "STEP") != 1 || !strings.HasSuffix(out, "1499  2026-01-01 00:00:00  1\n") {
		t.Errorf("unexpected table, ends with %q", out[len(out)-60:])
	}
}

func TestAge(t *testing.T) {
	env := &Env{Now: func() time.Time { return testNow }}
	for ago, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m", 47 * time.Hour: "47h", 72 * time.Hour: "3d",
		3 * 365 * 24 * time.Hour: "3y", -time.Hour: "in 1h",
	} {
		if got := env.age(testNow.Add(-ago)); got != want {
			t.Errorf("%s ago: %q, want %q", ago, got, want)
		}
	}
	if got := env.age(time.Time{}); got != "-" {
		t.Errorf("an unknown time: %q", got)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"plain-1.0/x": "plain-1.0/x", "größe": "größe", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	missing := trackio.Errorf(trackio.ErrNotFound, "no project").WithHint("look")
	for word, want := range map[string]string{"mnits": "did you mean --project mnist?", "mnist": "look", "other": "look"} {
		if got := trackio.HintOf(suggest(missing, "project", word, []string{"mnist"})); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"mnist", "resnet-50", "baseline"}
	for word, want := range map[string]string{"mnits": "mnist", "resnet50": "resnet-50", "base": "", "zebra": "", "baselnie": "baseline"} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// Splitting an object and joining it again keeps what it says, and every value
// token as it is.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : 1.0 , "b" : [ { } , "}" ] } `, `{"a\"b":{"c":[1,2,{"d":null}]},"e":-1e-7,"f":"\\\"","":true}`, `[1]`, `{"a":}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := members(json.RawMessage(text))
		var want map[string]json.RawMessage
		if valid := json.Unmarshal([]byte(text), &want) == nil && want != nil; valid != (err == nil) {
			t.Fatalf("members(%q): %v, encoding/json: %v", text, err, want)
		}
		if err != nil {
			return
		}
		last := map[string]json.RawMessage{}
		for _, m := range fields {
			last[m.key] = m.value
		}
		if len(last) != len(want) {
			t.Fatalf("members(%q) has %d keys, encoding/json %d", text, len(last), len(want))
		}
		for key, value := range want {
			if !bytes.Equal(last[key], value) {
				t.Fatalf("members(%q)[%q] = %s, encoding/json: %s", text, key, last[key], value)
			}
		}
		if !json.Valid(joinObject(fields)) || !json.Valid(localize(joinObject(fields), "p", "r")) {
			t.Fatalf("joined again, %q is not JSON", text)
		}
	})
}

func TestLocalize(t *testing.T) {
	for value, want := range map[string]string{
		`{"_type":"trackio.image","file_path":"0/a b.png","n":1.0}`: `{"_type":"trackio.image","file_path":"p/r/x/0/a b.png","n":1.0}`,
		`[{"file_path":"0/a","_type":"trackio.video"},1.50]`:        `[{"file_path":"p/r/x/0/a","_type":"trackio.video"},1.50]`,
		`{"_type":"trackio.image","file_path":"/q/other/1.png"}`:    `{"_type":"trackio.image","file_path":"q/other/1.png"}`,
		`{"_type":"other","file_path":"0/a"}`:                       `{"_type":"other","file_path":"0/a"}`,
		`{"_type":"trackio.image","file_path":3}`:                   `{"_type":"trackio.image","file_path":3}`,
		`"file_path"`: `"file_path"`,
		`{"_type":"trackio.table","_value":[{"i":{"_type":"trackio.image","file_path":"a\u002fb"}}]}`: `{"_type":"trackio.table","_value":[{"i":{"_type":"trackio.image","file_path":"p/r/x/a/b"}}]}`,
	} {
		if got := string(localize(json.RawMessage(value), "p", "r/x")); got != want {
			t.Errorf("localize(%s)\n got %s\nwant %s", value, got, want)
		}
	}
}
