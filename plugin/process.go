package plugin

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// program is what to start for a backend.
type program struct {
	path    string
	args    []string // beginning with the name of the program
	builtin bool     // it is this executable
	sha256  string   // what the file must be; "" for anything
}

// waitDelay is how long the output of a process is waited for after its end:
// something that it started may hold the pipe open.
const waitDelay = 300 * time.Millisecond

// process is the running program of a backend, as go-plugin wants to see it.
type process struct {
	cmd      *exec.Cmd
	stdout   *io.PipeReader
	lifeline *os.File // the host's end; nil when there is none
	started  func()   // releases what only the child needs
	toStdout *io.PipeWriter
	done     chan struct{} // closed when the process has ended
	err      error         // how, then

	mu     sync.Mutex // of the start and of killed
	killed bool       // by this host
}

// newProcess prepares a program. spec carries the variables of go-plugin.
// What it writes goes to output, but for the handshake.
func newProcess(p program, env []string, spec *exec.Cmd, output *outputLog) (*process, error) {
	stdout, toStdout := io.Pipe()
	cmd := &exec.Cmd{
		Path: p.path, Args: p.args, Env: append(env, spec.Env...),
		// No Stdin: a backend that reads the terminal would be stopped by it.
		Stdout:      &handshakeFilter{line: toStdout, rest: output.source(), room: maxHandshake},
		Stderr:      output.source(),
		SysProcAttr: attributes(), WaitDelay: waitDelay,
	}
	proc := &process{cmd: cmd, stdout: stdout, toStdout: toStdout, started: func() {}, done: make(chan struct{})}
	if p.builtin {
		host, started, err := giveLifeline(cmd)
		if err != nil {
			return nil, err
		}
		proc.lifeline, proc.started = host, started
	}
	return proc, nil
}

// Start starts the program. A file that was written a moment ago may still be
// open for writing in a process that is just being started: that passes.
func (p *process) Start(ctx context.Context) error {
	defer p.started()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return p.failed(context.Canceled)
	}
	err := p.cmd.Start()
	for errors.Is(err, syscall.ETXTBSY) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		again := *p.cmd
		p.cmd = &exec.Cmd{
			Path: again.Path, Args: again.Args, Env: again.Env, Stdout: again.Stdout, Stderr: again.Stderr,
			ExtraFiles: again.ExtraFiles, SysProcAttr: again.SysProcAttr, WaitDelay: again.WaitDelay,
		}
		err = p.cmd.Start()
	}
	if err != nil {
		return p.failed(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		p.release()
		close(p.done)
	}()
	return nil
}

// failed ends a process that has not begun.
func (p *process) failed(err error) error {
	p.release()
	p.err = err
	close(p.done)
	return err
}

func (p *process) release() {
	_ = p.toStdout.Close()
	if p.lifeline != nil {
		_ = p.lifeline.Close()
	}
}

// ended reports whether the process has ended, or ends within a time.
func (p *process) ended(within time.Duration) bool {
	select {
	case <-p.done:
		return true
	default:
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// state says how the process ended, after it has.
func (p *process) state() string {
	if p.cmd.ProcessState != nil {
		return p.cmd.ProcessState.String()
	}
	return p.err.Error()
}

// Wait implements go-plugin's runner.
func (p *process) Wait(context.Context) error {
	<-p.done
	return p.err
}

// Kill implements go-plugin's runner. A process that is just ending is left to
// end in its own way, which says more than that it was killed; one that has not
// begun does not begin.
func (p *process) Kill(context.Context) error {
	if p.ended(20 * time.Millisecond) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.cmd.Process != nil {
		killTree(p.cmd.Process)
	}
	return nil
}

// endedByItself reports whether the process has ended and not been killed here.
func (p *process) endedByItself() bool {
	if !p.ended(0) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.ProcessState != nil && !p.killed
}

// Stdout implements go-plugin's runner.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr gives go-plugin nothing to read: it would parse the lines, and a
// malformed one ends the host. They go to an outputLog.
func (p *process) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements go-plugin's runner.
func (p *process) Name() string { return p.cmd.Path }

// ID implements go-plugin's runner.
func (p *process) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

// Diagnose implements go-plugin's runner.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost implements go-plugin's runner.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin implements go-plugin's runner.
func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

var _ runner.Runner = (*process)(nil)
