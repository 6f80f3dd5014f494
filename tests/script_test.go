// Package tests runs the real program, with its backends in processes of their
// own, through whole sessions.
package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// bin holds the programs, built once: trackio, and trackio-backend-faulty.
var bin string

func TestMain(m *testing.M) {
	if plugin.ServeBuiltin(os.Args, builtins()) {
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "trackio-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, source := range map[string]string{"trackio": "../cmd/trackio", "trackio-backend-faulty": "./faulty"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name+suffix()), source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", source, err, out)
			return 1
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // #nosec G302: another user runs the programs too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	defer servers.StopAll()
	return m.Run()
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"addrun": addRun,
			"json":   checkJSON,
			"empty":  checkEmpty,
		},
	})
}

// setup gives a script an empty home, a Trackio directory of its own that does
// not exist yet, and no variable of the caller's that changes what happens.
func setup(env *testscript.Env) error {
	for _, dir := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(env.WorkDir, dir), 0o700); err != nil {
			return err
		}
	}
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "tmp"))
	env.Setenv("TRACKIO_DIR", filepath.Join(env.WorkDir, "trackio"))
	env.Setenv("TRACKIO_PLUGIN_PATH", bin)
	env.Setenv("TZ", "UTC")
	return nil
}

// exits CODE command...: the command must end with that very code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exits code command...")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// json: stdout of the last command must be one JSON value and a final newline.
func checkJSON(ts *testscript.TestScript, neg bool, _ []string) {
	text := ts.ReadFile("stdout")
	if neg || !json.Valid([]byte(text)) || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("stdout is not JSON: %q", text)
	}
}

// empty DIR: the directory must have no entries.
func checkEmpty(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	if err != nil || (len(entries) > 0) != neg {
		ts.Fatalf("%s: %v %v", args[0], entries, err)
	}
}

// addrun PROJECT ID NAME ROWS [now]: imports a run into $TRACKIO_DIR, its rows a
// minute apart from the first of January 2026, or all of this very moment.
func addRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: addrun project id name rows [now]")
	}
	ts.Check(importRun(ts.Getenv("TRACKIO_DIR"), trackio.RunRef{Project: args[0], ID: args[1]}, args[2], args[3], len(args) > 4))
}

func importRun(dir string, ref trackio.RunRef, name, rows string, now bool) error {
	n, err := strconv.Atoi(rows)
	if err != nil {
		return err
	}
	begin, gap := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Minute
	if now {
		begin, gap = time.Now().UTC(), 0
	}
	batch := &trackio.Metrics{}
	for step := range n {
		batch.Rows = append(batch.Rows, trackio.MetricsRow{
			Timestamp: trackio.FormatTime(begin.Add(time.Duration(step) * gap)),
			Step:      int64(step),
			Metrics:   fmt.Appendf(nil, `{"loss":%d.0,"big":9007199254740993}`, step),
			LogID:     fmt.Sprintf("%s-%d", ref.ID, step),
		})
	}
	header := &trackio.Header{RunInfo: trackio.RunInfo{RunRef: ref, Name: name, CreatedAt: begin}, Kinds: trackio.AllKinds}
	config := &trackio.Config{JSON: []byte(`{"lr":0.1}`), CreatedAt: trackio.FormatTime(begin)}
	return withStore(dir, func(b *sqlite.Backend) error {
		_, err := b.ImportRun(context.Background(), ref, sequence(header, config, batch))
		return err
	})
}

func withStore(dir string, use func(*sqlite.Backend) error) error {
	b, err := sqlite.Open(context.Background(), sqlite.Config{Dir: dir})
	if err != nil {
		return err
	}
	return errors.Join(use(b), b.Close())
}

func sequence(records ...trackio.Record) iter.Seq2[trackio.Record, error] {
	return func(yield func(trackio.Record, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
	}
}

// run runs the program outside of a script.
func run(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "trackio"+suffix()), args...)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TZ=UTC"}, env...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}
