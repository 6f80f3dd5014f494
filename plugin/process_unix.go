//go:build !windows

package plugin

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// attributes puts a process into a group of its own: Ctrl-C in the terminal is
// for the host, which cancels calls in its own way.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killTree kills a process and what it started in its group.
func killTree(process *os.Process) {
	if syscall.Kill(-process.Pid, syscall.SIGKILL) != nil {
		_ = process.Kill()
	}
}

// giveLifeline adds a pipe to a command that is not started yet. The child gets
// one end; the other one is returned with a function that releases the child's
// end in this process.
func giveLifeline(cmd *exec.Cmd) (host *os.File, started func(), err error) {
	child, host, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, child)
	cmd.Env = append(cmd.Env, lifelineKey+"="+strconv.Itoa(2+len(cmd.ExtraFiles)))
	return host, func() { _ = child.Close() }, nil
}

// inheritedLifeline returns the pipe that the host gave, nil for none.
func inheritedLifeline() *os.File {
	fd, err := strconv.Atoi(os.Getenv(lifelineKey))
	if err != nil || fd < 3 {
		return nil
	}
	_ = os.Unsetenv(lifelineKey)
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "lifeline")
}
