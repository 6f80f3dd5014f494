//go:build unix

package sqlite

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// peakOfMove moves the big run in a process of its own and returns the most
// memory, in bytes, that the process held.
func peakOfMove(t *testing.T, dir string) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), "TRACKIO_SQLITE_TEST_HELPER=move-big")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("no usage")
	}
	peak := int64(usage.Maxrss) //nolint:unconvert // its type differs between systems
	if runtime.GOOS != "darwin" {
		peak *= 1024
	}
	return peak
}
