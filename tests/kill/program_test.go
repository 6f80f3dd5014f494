//go:build kill && linux

package kill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trackio-go/trackio/tests/tracer"
)

// sweepProgram kills the program as it is, and the process of its backend: at
// every third call of a move, and every sixth of the other commands. The other
// sweeps meet the calls on the storage one by one; this one, what is around them. When the host is killed, the
// backend may finish what it was asked for; the tracer waits for it.
func sweepProgram(t *testing.T) {
	program := build(t)
	onSubject := []string{"--project", "p", "--run-id", "id-1", "--json"}
	commands := map[string][]string{
		"move into a new project": append([]string{"move", "run", "--to", "q"}, onSubject...),
		"move into a project":     append([]string{"move", "run", "--to", "q"}, onSubject...),
		"copy into a project":     append([]string{"copy", "run", "--to", "q"}, onSubject...),
		"delete":                  append([]string{"delete", "run", "--yes"}, onSubject...),
		"delete a project":        {"delete", "project", "--project", "p", "--yes", "--json"},
		"rename":                  append([]string{"rename", "run", "--name", "new name"}, onSubject...),
	}
	for _, s := range scenes() {
		args, ok := commands[s.name]
		if !ok {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			st := s.prepare(t)
			operations.Add(1)
			at := func(t *testing.T, dir string) command {
				return command{args: append([]string{program}, args...), env: append(quietEnv(dir), "TMPDIR="+sockets(t))}
			}
			stride := 6
			if s.name == "move into a project" {
				stride = 3
			}
			sweepProcesses(t, st.dir, []string{"host", "backend"}, stride, at, func(t *testing.T, dir string, r result) error {
				return play{model: &st.model, dir: dir}.check(t, r)
			})
		})
	}
}

// sweepProcesses kills each of the processes of a command at every call, or with a
// stride at every so many of them, in a new copy of the store every time, until it
// completes. It does so in parallel, in parts.
func sweepProcesses(t *testing.T, store string, processes []string, stride int, at func(t *testing.T, dir string) command, check func(t *testing.T, dir string, r result) error) {
	t.Helper()
	counted := filepath.Join(t.TempDir(), "store")
	copyTree(t, store, counted)
	r := traceProcess(t, at(t, counted), 0, 0)
	if r.Code != 0 || len(r.Calls) != len(processes) {
		t.Fatalf("unharmed: exit code %d of %d processes\n%s", r.Code, len(r.Calls), r.Output)
	}
	for victim, n := range r.Calls {
		t.Logf("%s: %d calls", processes[victim], n)
		for first := 1; first <= n; first += part * stride {
			last := min(first+part*stride-1, n)
			t.Run(fmt.Sprintf("%s from %d", processes[victim], first), func(t *testing.T) {
				t.Parallel()
				for when := first; when <= last || last == n; when += stride {
					dir := filepath.Join(t.TempDir(), "store")
					copyTree(t, store, dir)
					r := traceProcess(t, at(t, dir), victim, when)
					if r.Killed {
						killPoints.Add(1)
					}
					err := check(t, dir, result{code: r.Code, killed: count(r.Killed), output: r.Output})
					if err == nil && !r.Killed && (len(r.Calls) != len(processes) || r.Calls[victim] >= when) {
						err = errors.New("the call was not met")
					}
					if err != nil {
						violations.Add(1)
						t.Errorf("%s killed before call %d: %v\n%s", processes[victim], when, err, r.Output)
					}
					if !r.Killed {
						return
					}
					_ = os.RemoveAll(dir)
				}
			})
		}
	}
}

// traceProcess runs a command, whose process of the number victim is killed before
// its call of that number.
func traceProcess(t *testing.T, c command, victim, when int) tracer.Result {
	t.Helper()
	r, err := tracer.Run(t.TempDir(), c.args, c.env, victim, when)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func count(killed bool) int {
	if killed {
		return 1
	}
	return 0
}

// sockets is a directory for the sockets between host and backend, whose names
// must be short. Killed processes leave them there.
func sockets(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "k") //nolint:usetesting // the test's own directory has a long name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
