//go:build kill && linux

package kill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trackio-go/trackio/trackio"
)

// faults counts what was done, by how it ended.
var faults struct{ injected, refused, survived atomic.Int64 }

// faultCalls are the calls that meet faults. Not write: by it the Go runtime
// wakes itself up as well. What writes meet is a disk that is really full.
const faultCalls = "?unlink,unlinkat,?rmdir,linkat,?rename,renameat,renameat2,?mkdir,mkdirat," +
	"pwrite64,ftruncate,fallocate,fsync,fdatasync"

// TestFaults makes a system call of a change fail, or all from one on, and looks
// at what is left, as TestKilledAnywhere does after a kill. The change gives an
// error with a kind that names a file, or has got over it.
func TestFaults(t *testing.T) {
	for _, s := range scenes() {
		if !slices.Contains([]string{
			"move into a new project", "move into a project", "move without hard links", "delete", "rename",
			"import into a new project", "import without hard links",
		}, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			st := s.prepare(t)
			for _, f := range faultsOf(t, st) {
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					st.playFault(t, f)
				})
			}
		})
	}
	t.Cleanup(func() {
		t.Logf("faults %d: in %d the change failed, %d it got over", faults.injected.Load(), faults.refused.Load(), faults.survived.Load())
	})
}

// fault is one way in which a disk fails.
type fault struct {
	name   string
	inject []string // for strace
}

// once is one call of a name that fails.
func once(call, errno string, when int) fault {
	return fault{
		name:   fmt.Sprintf("%s %d %s", call, when, errno),
		inject: []string{fmt.Sprintf("inject=%s:error=%s:when=%d", call, errno, when)},
	}
}

var loggedCall = regexp.MustCompile(`(?m)^(?:\d+ +)?([a-z0-9_]+)\((.*)$`)

// faultsOf makes the change once, counts its calls, and chooses faults of them:
// every single call of a name when there are few of them, else a sample; and
// moments from which on the disk is full or read-only.
func faultsOf(t *testing.T, st *stage) (list []fault) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "counted")
	copyTree(t, st.dir, dir)
	log, err := st.changeUnder(t, dir, fault{})
	if err != nil {
		t.Fatalf("unharmed: %v", err)
	}
	var sequence []string
	seen := map[string]int{}
	var creating []int
	for _, m := range loggedCall.FindAllStringSubmatch(log, -1) {
		call := m[1]
		seen[call]++
		if call != "openat" {
			sequence = append(sequence, call)
		} else if strings.Contains(m[2], "O_CREAT") || strings.Contains(m[2], "O_RDWR") {
			creating = append(creating, seen[call])
		}
	}
	if len(sequence) == 0 || len(creating) == 0 {
		t.Fatalf("the change makes none of the calls:\n%s", log)
	}
	for call, n := range seen {
		if call == "openat" || st.noLinks && call == "linkat" {
			continue
		}
		for _, when := range sample(n, 5) {
			list = append(list, once(call, "EIO", when+1))
		}
	}
	for i, errno := range []string{"ENOSPC", "EIO", "EROFS"} {
		for j := i; j < len(creating); j += 3 { // by turns
			list = append(list, once("openat", errno, creating[j]))
		}
	}
	full := []string{"linkat", "mkdir", "mkdirat", "pwrite64", "fallocate", "fsync", "fdatasync"}
	all := strings.Split(strings.ReplaceAll(faultCalls, "?", ""), ",")
	last := 1 + lastOf(sequence, func(call string) bool { return slices.Contains(full, call) && (!st.noLinks || call != "linkat") })
	for _, moment := range sample(last, 12) {
		list = append(list, st.fromOn("ENOSPC", sequence, moment, full))
	}
	for _, moment := range sample(len(sequence), 12) {
		list = append(list, st.fromOn("EROFS", sequence, moment, all))
	}
	return list
}

// fromOn lets the calls fail that come after a moment.
func (st *stage) fromOn(errno string, sequence []string, moment int, failing []string) fault {
	f := fault{name: fmt.Sprintf("%s from call %d, %s", errno, moment, sequence[moment])}
	for _, call := range failing {
		if st.noLinks && call == "linkat" {
			continue
		}
		first := 1
		for _, earlier := range sequence[:moment] {
			if earlier == call {
				first++
			}
		}
		f.inject = append(f.inject, fmt.Sprintf("inject=?%s:error=%s:when=%d+", call, errno, first))
	}
	return f
}

// lastOf returns the last place of what is looked for, -1 when there is none.
func lastOf(calls []string, wanted func(string) bool) int {
	for i, call := range slices.Backward(calls) {
		if wanted(call) {
			return i
		}
	}
	return -1
}

// sample returns at most most numbers below n, with the first and the last.
func sample(n, most int) []int {
	var list []int
	for i := range min(n, most) {
		list = append(list, i*(n-1)/max(min(n, most)-1, 1))
	}
	return list
}

// playFault makes the change in a new copy of the store under a fault.
func (st *stage) playFault(t *testing.T, f fault) {
	dir := filepath.Join(t.TempDir(), "store")
	copyTree(t, st.dir, dir)
	log, err := st.changeUnder(t, dir, f)
	if !strings.Contains(log, "(INJECTED)") {
		t.Fatalf("the calls were not met:\n%s", log)
	}
	faults.injected.Add(1)
	if err == nil {
		faults.survived.Add(1)
	} else {
		faults.refused.Add(1)
	}
	if err := st.model.checkFault(t, dir, err); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

var namedMedia = regexp.MustCompile(`media (file|directory) \S+`)

// checkFault checks what a change that met a fault has returned, and the store.
func (m *model) checkFault(t *testing.T, dir string, failed error) error {
	if failed != nil {
		if trackio.KindOf(failed) == nil {
			return fmt.Errorf("an error without a kind: %w", failed)
		}
		if text := failed.Error(); !strings.Contains(text, dir) && !namedMedia.MatchString(text) {
			return fmt.Errorf("an error that names no file: %w", failed)
		}
	}
	s, err := look(t, dir)
	if err != nil {
		return err
	}
	before, err := m.interrupted(s)
	switch {
	case err != nil:
		return fmt.Errorf("after the change returned %v: %w", failed, err)
	case before && failed == nil:
		return fmt.Errorf("%w: success was reported, and nothing has happened", errViolated)
	case !before && failed != nil && (!s.unsettled() || !strings.Contains(failed.Error(), "not settled yet")):
		return fmt.Errorf("%w: the change has happened, and yet it returned: %w", errViolated, failed)
	}
	age(t, dir)
	if err := changeHere("next", dir); err != nil {
		return fmt.Errorf("the next change, after %v: %w", failed, err)
	}
	if s, err = look(t, dir); err != nil {
		return err
	}
	if err := m.recovered(s, before); err != nil {
		return fmt.Errorf("after the change returned %v: %w", failed, err)
	}
	return nil
}

// changeUnder makes the change in one thread of this process, to which strace is
// attached, and returns its error and the calls.
func (st *stage) changeUnder(t *testing.T, dir string, f fault) (log string, err error) {
	t.Helper()
	b := openStore(t, dir)
	defer b.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	detach := attach(t, st.noLinks, f)
	// A note is no error: the change is done, and something is left to the next.
	err = changes()[st.change](trackio.WithNotes(context.Background(), func(string) {}), b)
	return detach(), err
}

// attach lets strace inject faults into the calls of this thread until detach.
func attach(t *testing.T, noLinks bool, f fault) (detach func() string) {
	t.Helper()
	// Where only a parent may trace a process, this one allows it to its child.
	_ = unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
	log := filepath.Join(t.TempDir(), "trace")
	args := []string{"-y", "-o", log, "-p", fmt.Sprint(unix.Gettid()), "-e", "trace=openat," + faultCalls}
	if noLinks {
		args = append(args, "-e", "inject=linkat:error=EXDEV")
	}
	for _, inject := range f.inject {
		args = append(args, "-e", inject)
	}
	cmd := exec.Command("strace", args...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	messages := bufio.NewReader(stderr)
	if line, err := messages.ReadString('\n'); err != nil || !strings.Contains(line, "attached") {
		t.Fatalf("strace: %v %s", err, line)
	}
	return func() string {
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, messages)
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}
