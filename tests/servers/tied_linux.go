package servers

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startTied starts a program that the kernel kills when this process ends, in
// whatever way. The kernel goes by the thread that started it, so that thread
// is kept.
func startTied(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			select {}
		}
	}()
	return <-started
}
