//go:build !windows

package plugin

import (
	"os"
	"syscall"
)

// stopSelf stops this process, as Ctrl-Z does.
func stopSelf() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
