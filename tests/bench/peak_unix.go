//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// peak returns the largest amount of memory that a process that has ended, or
// one of the children that it waited for, has had resident. It is at least what
// this program had when it started the process: both share it for a moment.
func peak(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	most := int64(usage.Maxrss) //nolint:unconvert // 32 bits wide on some systems
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return most
	}
	return most * 1024
}
