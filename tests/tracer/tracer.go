//go:build kill && linux

// Package tracer runs a program of any number of processes and kills one of them
// before its n-th system call of those that leave something behind. strace counts
// the calls of each thread for itself, so that a call of one thread is met only
// when no other thread has made as many before; this tracer counts the calls of a
// process, whichever of its threads makes them, and kills that process.
//
// The program is started by way of the test binary, whose TestMain begins with
// [Become].
package tracer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterVariable makes a binary let its calls be traced and become another program.
const filterVariable = "TRACKIO_TRACER_FILTER"

// tracedCalls are the calls that leave something behind.
func tracedCalls() []uint32 {
	return append([]uint32{
		unix.SYS_LINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_SYMLINKAT,
		unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_TRUNCATE, unix.SYS_FTRUNCATE,
		unix.SYS_FALLOCATE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
	}, oldCalls...)
}

// Become turns this process into the program that is to be traced, when it was
// started for that; else it does nothing.
func Become() {
	if os.Getenv(filterVariable) != "" {
		fmt.Fprintln(os.Stderr, become(os.Args))
		os.Exit(1)
	}
}

// become installs a filter that stops the process, and all that it starts, at the
// traced calls, and becomes the program of the arguments.
func become(args []string) error {
	runtime.LockOSThread()
	const number = 0 // where a filter finds the number of the call
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number}}
	for _, call := range tracedCalls() {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE},
		)
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	}
	if err == nil {
		err = errors.Join(os.Unsetenv(filterVariable), syscall.Exec(args[0], args, os.Environ()))
	}
	return err
}

// Result is how a program ended.
type Result struct {
	Code   int   // of the first process's exit; -1 when it was killed
	Killed bool  // whether the call was met
	Calls  []int // how many each process has made
	Output string
}

// Run runs a program, whose path is the first of args, and waits for all of its
// processes. They are numbered in the order in which they become programs, the
// first 0. The one of the number victim is killed before its call of that number;
// none when it is 0.
func Run(dir string, args, env []string, victim, when int) (Result, error) {
	out, err := os.CreateTemp(dir, "output")
	if err != nil {
		return Result{}, err
	}
	defer out.Close()
	tr := &tracer{victim: victim, when: when, threads: map[int]int{}, numbers: map[int]int{}}
	done := make(chan error)
	go func() { done <- tr.run(args, env, out) }()
	if err := <-done; err != nil {
		return Result{}, fmt.Errorf("tracing %s: %w", args[0], err)
	}
	text, err := os.ReadFile(out.Name())
	return Result{Code: tr.codes[0], Killed: tr.killed, Calls: tr.counts, Output: string(text)}, err
}

type tracer struct {
	victim, when int

	root    int
	threads map[int]int // of every thread: its process
	numbers map[int]int // of every process: its number
	counts  []int       // by number
	codes   []int       // by number; -1 for those that were killed
	killed  bool
}

// deadline is how long a traced program may take.
const deadline = 2 * time.Minute

// run leaves its goroutine's thread locked, which ends with it: it is the tracer
// of all processes.
func (tr *tracer) run(args, env []string, out *os.File) error {
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = args
	cmd.Env = append(slices.Clone(env), filterVariable+"=1")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	tr.root = cmd.Process.Pid
	defer func() { _ = cmd.Process.Release() }()
	timer := time.AfterFunc(deadline, func() {
		_ = cmd.Process.Kill()
	})
	defer timer.Stop()
	var status unix.WaitStatus
	if _, err := wait(tr.root, &status); err != nil || !status.Stopped() {
		return fmt.Errorf("%s did not start: %v %w", args[0], status, err)
	}
	tr.number(tr.root)
	err := unix.PtraceSetOptions(tr.root, unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEFORK|
		unix.PTRACE_O_TRACEVFORK|unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_EXITKILL)
	if err == nil {
		err = unix.PtraceCont(tr.root, 0)
	}
	for err == nil {
		var thread int
		if thread, err = wait(-1, &status); err == nil {
			err = tr.event(thread, status)
		}
	}
	if errors.Is(err, unix.ECHILD) {
		return nil
	}
	return err
}

// wait waits for what this thread traces, and for nothing else of this process.
func wait(pid int, status *unix.WaitStatus) (int, error) {
	for {
		thread, err := unix.Wait4(pid, status, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return thread, err
		}
	}
}

// event handles a stop or the end of a thread, and lets it go on.
func (tr *tracer) event(thread int, status unix.WaitStatus) error {
	if !status.Stopped() {
		if n, ok := tr.numbers[thread]; ok {
			if tr.codes[n] = status.ExitStatus(); status.Signaled() {
				tr.codes[n] = -1
			}
		}
		return nil
	}
	deliver := 0
	switch cause := status.TrapCause(); {
	case cause == unix.PTRACE_EVENT_SECCOMP:
		process, err := tr.processOf(thread)
		if err != nil {
			return err
		}
		if n, ok := tr.numbers[process]; ok {
			if tr.counts[n]++; n == tr.victim && tr.counts[n] == tr.when {
				tr.killed = true
				return ignoreGone(unix.Kill(process, unix.SIGKILL))
			}
		}
	case cause == unix.PTRACE_EVENT_EXEC:
		tr.number(thread)
	case cause > 0: // a new thread or process, which comes by itself
	case status.StopSignal() == unix.SIGSTOP && tr.threads[thread] == 0: // that is how it comes
		if _, err := tr.processOf(thread); err != nil {
			return ignoreGone(err)
		}
	default:
		deliver = int(status.StopSignal())
	}
	return ignoreGone(unix.PtraceCont(thread, deliver))
}

// number gives a process that has become a program its number.
func (tr *tracer) number(process int) {
	tr.threads[process] = process
	if _, ok := tr.numbers[process]; !ok {
		tr.numbers[process] = len(tr.counts)
		tr.counts, tr.codes = append(tr.counts, 0), append(tr.codes, 0)
	}
}

// processOf returns the process of a thread.
func (tr *tracer) processOf(thread int) (int, error) {
	if process := tr.threads[thread]; process != 0 {
		return process, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return 0, err
	}
	process := 0
	_, rest, _ := strings.Cut(string(text), "\nTgid:")
	if _, err := fmt.Sscan(rest, &process); err != nil {
		return 0, fmt.Errorf("/proc/%d/status: %w", thread, err)
	}
	tr.threads[thread] = process
	return process, nil
}

// ignoreGone: a thread that was killed meanwhile takes no orders.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
