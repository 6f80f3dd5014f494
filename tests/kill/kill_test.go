//go:build kill && linux

// Package kill stops a change of a Trackio directory by SIGKILL before every
// system call by which it writes, syncs, links or unlinks, one after the other,
// and looks at what is left: as our own readers see it, as Python Trackio would
// see it, and after the next change has come by and settled it. For a change that
// is one thread, strace counts the calls and sends the signal; for programs of
// several processes the tracer beside this package does, since strace counts the
// calls of each thread alone.
//
//	make kill
package kill

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/tests/tracer"
)

// kept is a directory for stores that one sweep makes and another goes on with.
var kept string

// What was done, for the log.
var operations, killPoints, distinct, violations atomic.Int64

func TestMain(m *testing.M) {
	tracer.Become()
	if plugin.ServeBuiltin(os.Args, builtins()) {
		return
	}
	if name := os.Getenv(changeVariable); name != "" {
		os.Exit(runChange(name, os.Args[1]))
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	if _, err := exec.LookPath("strace"); err != nil {
		fmt.Fprintln(os.Stderr, "these tests kill at system calls, which needs strace: install it (Debian: apt-get install strace)")
		return 1
	}
	dir, err := os.MkdirTemp(memoryDir(), "trackio-kill-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		kept = filepath.Join(dir, "kept")
		err = errors.Join(os.Setenv("TMPDIR", dir), os.Mkdir(kept, 0o777))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue { // a kill waits more than it works
		_ = f.Value.Set(strconv.Itoa(2 * runtime.NumCPU()))
	}
	began := time.Now()
	code := m.Run()
	fmt.Printf("operations %d, kill points %d, which left %d different stores, violations %d, %.0f seconds\n",
		operations.Load(), killPoints.Load(), distinct.Load(), violations.Load(), time.Since(began).Seconds())
	return code
}

// memoryDir is a directory in memory when there is one with room: a kill is no
// power failure, so nothing is lost by it, and syncing costs nothing there.
func memoryDir() string {
	const dir, room = "/dev/shm", 512 << 20
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return ""
	}
	return dir
}

// build builds trackio.
func build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "trackio")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/trackio").CombinedOutput(); err != nil {
		t.Fatalf("building trackio: %v\n%s", err, out)
	}
	return program
}

// A change is killed; then the process that settles what that has left; then the
// whole program, host or backend.
func TestKilledAnywhere(t *testing.T) {
	left := crashes{dir: kept}
	t.Run("change", func(t *testing.T) { sweepChanges(t, &left) })
	t.Run("recovery", func(t *testing.T) { sweepRecovery(t, &left) })
	t.Run("program", sweepProgram)
	t.Run("between", sweepBetween)
	if killPoints.Load() < operations.Load() {
		t.Errorf("%d kills in %d operations: the calls were not met", killPoints.Load(), operations.Load())
	}
}
