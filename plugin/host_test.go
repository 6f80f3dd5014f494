package plugin

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	"github.com/trackio-go/trackio/trackio"
)

func TestOpenAndClose(t *testing.T) {
	c := open(t, "")
	if got, err := projects(t.Context(), c); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	if c.Type() != "test" || c.Version() != "1.2.3" || c.Kinds() != 0 {
		t.Errorf("it is %s %s %v", c.Type(), c.Version(), c.Kinds())
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if !c.process.ended(0) {
		t.Error("the process is still there")
	}
	if c.process.state() != "exit status 0" {
		t.Errorf("the process ended with %s", c.process.state())
	}
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("the folder of the socket: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := projects(t.Context(), c); !errors.Is(err, trackio.ErrUnavailable) {
		t.Errorf("a closed backend answers: %v", err)
	}
}

func TestCapabilitiesCanBeSwitchedOff(t *testing.T) {
	c := open(t, `disable = ["move", "summarize", "delete_project", "collect", "change_runs"]`)
	_, moves := trackio.As[trackio.Mover](c)
	_, renames := trackio.As[trackio.Renamer](c)
	_, sums := trackio.As[trackio.Summarizer](c)
	_, deletes := trackio.As[trackio.ProjectDeleter](c)
	_, examines := trackio.As[trackio.Examiner](c)
	_, collects := trackio.As[trackio.Collector](c)
	_, changes := trackio.As[trackio.BulkChanger](c)
	if moves || !renames || sums || deletes || !examines || collects || changes {
		t.Errorf("move %v, rename %v, summarize %v, delete_project %v, examine %v, collect %v, change_runs %v", moves, renames, sums, deletes, examines, collects, changes)
	}
	if want := []string{"rename", "list_alerts", "examine"}; !slices.Equal(c.Capabilities(), want) {
		t.Errorf("capabilities are %v", c.Capabilities())
	}
}

func TestEnvironmentIsSmall(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("TEST_SECRET_ONE", "declared")
	t.Setenv("TEST_LISTED", "listed")
	t.Setenv("TRACKIO_ANYTHING", "ours")
	got, err := projects(t.Context(), open(t, "trouble = \"tell environment\"\nenv = [\"TEST_LISTED\"]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TEST_SECRET_ONE=declared", "TEST_LISTED=listed", "TRACKIO_ANYTHING=ours", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, v := range got {
		if strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, cookieKey+"=") || strings.HasPrefix(v, lifelineKey+"=") {
			t.Errorf("%s got through", v)
		}
	}
}

func TestBackendHasNoTerminal(t *testing.T) {
	got, err := projects(t.Context(), open(t, `trouble = "tell stdin"`))
	if err != nil || len(got) != 1 || got[0] != "0 EOF" {
		t.Errorf("reading the standard input: %v, %v", got, err)
	}
}

func TestBackendsDoNotOpenThemselves(t *testing.T) {
	cfg := config(t, "")
	t.Setenv(cookieKey, cookieValue)
	if _, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0]); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("inside a backend: %v", err)
	}
	t.Setenv(cookieKey, "")
	dispatched.Store(false)
	defer dispatched.Store(true)
	if _, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0]); !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(trackio.HintOf(err), "ServeBuiltin") {
		t.Errorf("without the dispatch: %v", err)
	}
}

func TestDeathIsReported(t *testing.T) {
	rows := &trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: "2026-01-01T00:00:00", Metrics: json.RawMessage("{}")}}}
	ref := trackio.RunRef{Project: "p", ID: "x"}
	stream := func(yield func(trackio.Record, error) bool) {
		if !yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "n"}}, nil) {
			return
		}
		for yield(rows, nil) {
		}
	}
	for _, test := range []struct {
		trouble string
		call    func(*Client) error
		words   []string
		hint    bool
	}{
		{"die in import", func(c *Client) error {
			_, err := c.ImportRun(t.Context(), ref, stream)
			return err
		}, []string{`backend "t" (test)`, "ImportRun", "exit status 7"}, true},
		{"die in export", func(c *Client) error {
			whole := func(yield func(trackio.Record, error) bool) {
				_ = yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: "n"}}, nil) && yield(rows, nil)
			}
			if _, err := c.ImportRun(t.Context(), ref, whole); err != nil {
				return err
			}
			var last error
			for _, err := range c.ExportRun(t.Context(), ref, trackio.ExportOptions{}) {
				last = err
			}
			return last
		}, []string{"ExportRun", "exit status 7"}, false},
		{"panic", func(c *Client) error {
			_, err := c.GetRun(t.Context(), ref)
			return err
		}, []string{"GetRun", "exit status 2", "panic: something broke"}, false},
	} {
		t.Run(test.trouble, func(t *testing.T) {
			c := open(t, "trouble = \""+test.trouble+"\"")
			begin := time.Now()
			err := test.call(c)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("it took %v to find out", took)
			}
			if !errors.Is(err, trackio.ErrBackendDied) || (trackio.HintOf(err) != "") != test.hint {
				t.Fatalf("got %v, hint %q", err, trackio.HintOf(err))
			}
			for _, words := range test.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in: %v", words, err)
				}
			}
			if _, err := projects(t.Context(), c); !errors.Is(err, trackio.ErrBackendDied) {
				t.Errorf("afterwards: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("closing a dead backend: %v", err)
			}
		})
	}
}

func TestCloseEndsWhatDoesNotEnd(t *testing.T) {
	const limit = closeTimeout + time.Second
	for _, trouble := range []string{"slow close", "stop at close"} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			c := open(t, "trouble = \""+trouble+"\"")
			begin := time.Now()
			if err := c.Close(); !errors.Is(err, trackio.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begin); took > limit {
				t.Errorf("it took %v", took)
			}
			if !c.process.ended(0) {
				t.Error("the process is still there")
			}
		})
	}
}

func TestStderrCannotHarmTheHost(t *testing.T) {
	var log, raw lockedBuffer
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: &log})
	cfg := config(t, `trouble = "hostile stderr"`)
	host := &Host{Builtins: []Definition{testBackend()}, Logger: logger, Stderr: &raw}
	c, err := host.Open(t.Context(), cfg, cfg.Blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`[INFO]  t: opening: trouble="hostile stderr"`, `[DEBUG] t: {"@message":17}`, "[WARN]  t: m", "[DEBUG] t: m"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%.2000s", want, log.String())
		}
	}
	if !strings.Contains(raw.String(), `{"@message":17}`) {
		t.Error("the raw lines are missing")
	}
}

// go-plugin stops reading the standard output at a long line, and then the
// backend stops at its next one.
func TestStdoutCannotStopTheBackend(t *testing.T) {
	c := open(t, `trouble = "odd stdout"`)
	for range 2 {
		ctx, cancel := contextWithTimeout(t, 10*time.Second)
		defer cancel()
		if _, err := projects(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestLastWords(t *testing.T) {
	for trouble, want := range map[string]string{
		"last words":         "\n\tcannot go on",
		"hostile last words": "binary\n\tyyyy",
		"survived panic":     "\n\tpanic: just now",
	} {
		_, err := projects(t.Context(), open(t, "trouble = \""+trouble+"\""))
		if !errors.Is(err, trackio.ErrBackendDied) || !strings.Contains(err.Error(), want) || len(err.Error()) > 2000 {
			t.Errorf("%s: %.2500v", trouble, err)
		}
		if strings.ContainsAny(err.Error(), "\x1b\x00\a") || !utf8.ValidString(err.Error()) || strings.Contains(err.Error(), "long ago") {
			t.Errorf("%s: %q", trouble, err)
		}
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	c := open(t, `trouble = "hang"`)
	ctx, cancel := contextWithTimeout(t, 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := projects(ctx, c); !errors.Is(err, ctx.Err()) || time.Since(begin) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}
