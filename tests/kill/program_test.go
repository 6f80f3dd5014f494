//go:build kill && linux

package kill

import (
	"os"
	"path/filepath"
	"testing"
)

// sweepProgram kills the program as it is, and the process of its backend, at a
// sample of the calls: strace counts the calls of each thread of both, and kills
// the process of the first thread that has made so many. When the host is
// killed, the backend may finish what it was asked for; strace waits for it.
func sweepProgram(t *testing.T) {
	program := build(t)
	onSubject := []string{"--project", "p", "--run-id", "id-1", "--json"}
	commands := map[string][]string{
		"move into a new project": append([]string{"move", "run", "--to", "q"}, onSubject...),
		"move into a project":     append([]string{"move", "run", "--to", "q"}, onSubject...),
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
			at := func(dir string) command {
				temp := sockets(t)
				return command{args: append([]string{program}, args...), env: append(quietEnv(dir), "TMPDIR="+temp)}
			}
			counted := filepath.Join(t.TempDir(), "store")
			copyTree(t, st.dir, counted)
			for call := range callsOf(t, at(counted)) {
				t.Run(call, func(t *testing.T) {
					t.Parallel()
					for when, next := 1, 2; ; when, next = next, when+next {
						dir := filepath.Join(t.TempDir(), "store")
						copyTree(t, st.dir, dir)
						if !(play{model: &st.model, command: at(dir), dir: dir, call: call, when: when}).run(t) {
							return
						}
					}
				})
			}
		})
	}
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
