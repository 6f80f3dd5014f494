package plugin

import (
	"os"
	"os/exec"
	"syscall"
)

// attributes puts a process into a group of its own: Ctrl-C in the console is
// for the host, which cancels calls in its own way.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// killTree kills a process.
func killTree(process *os.Process) { _ = process.Kill() }

// giveLifeline gives none: processes inherit no descriptors on Windows. The
// stream that a host holds open and the timer for its arrival do without.
func giveLifeline(*exec.Cmd) (host *os.File, started func(), err error) {
	return nil, func() {}, nil
}

func inheritedLifeline() *os.File { return nil }
