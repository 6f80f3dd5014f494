//go:build kill && linux

package kill

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// calls are the system calls that leave something behind. What an open creates
// is met by the call that follows it. The question mark is for architectures
// that do not have the call.
const calls = "?link,linkat,?unlink,unlinkat,?rmdir,?rename,renameat,renameat2,?mkdir,mkdirat,?symlink,symlinkat," +
	"write,pwrite64,writev,pwritev,truncate,ftruncate,fallocate,copy_file_range,sendfile,fsync,fdatasync"

// command is something to be traced.
type command struct {
	args []string
	env  []string
	// noLinks: every link(2) fails, as between two file systems.
	noLinks bool
}

// change is the command that runs a change in a process of this binary. The
// whole change runs in one thread: strace counts the calls of each thread.
func change(name, dir string) command {
	return command{
		args: []string{os.Args[0], dir},
		env:  append(quietEnv(dir), changeVariable+"="+name, "GOGC=off"),
	}
}

func quietEnv(dir string) []string {
	return []string{"HOME=" + dir + ".home", "TRACKIO_DIR=" + dir, "PATH=" + os.Getenv("PATH")}
}

// result is how a traced command ended.
type result struct {
	code   int    // of its exit; -1 when the process that was started was killed
	killed int    // processes of it
	log    string // the calls, as strace writes them
	output string // stdout and stderr
}

// trace runs a command under strace. With a call and a number, each thread is
// killed before its call of that number.
func trace(t *testing.T, c command, call string, when int) result {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	args := []string{"-f", "-q", "-o", log, "-e", "signal=KILL"}
	traced := calls
	if call != "" {
		traced = call
		args = append(args, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, when))
	}
	if c.noLinks { // what is not traced is not injected
		traced += ",?link,linkat"
		args = append(args, "-e", "inject=?link,linkat:error=EXDEV")
	}
	args = append(args, "-e", "trace="+traced)
	cmd := exec.Command("strace", append(append(args, "--"), c.args...)...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("strace: %v", err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatalf("strace: %v\n%s", err, out)
	}
	r := result{code: cmd.ProcessState.ExitCode(), log: string(text), output: string(out)}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		r.code = -1
	}
	r.killed = len(processesKilled(r.log))
	return r
}

var (
	killedLine = regexp.MustCompile(`(?m)^(\d+) +\+\+\+ killed by SIGKILL`)
	callLine   = regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`)
)

// processesKilled are the threads that were killed, of which a process has many.
func processesKilled(log string) []string {
	var pids []string
	for _, m := range killedLine.FindAllStringSubmatch(log, -1) {
		pids = append(pids, m[1])
	}
	return pids
}

// callsOf runs a command unharmed and returns how often it makes each
// call.
func callsOf(t *testing.T, c command) map[string]int {
	t.Helper()
	r := trace(t, c, "", 0)
	if r.code != 0 || r.killed > 0 {
		t.Fatalf("unharmed %v: exit code %d\n%s", c.args, r.code, r.output)
	}
	if c.noLinks && !strings.Contains(r.log, "EXDEV") {
		t.Fatalf("%v makes no hard link", c.args)
	}
	counts := map[string]int{}
	for _, m := range callLine.FindAllStringSubmatch(r.log, -1) {
		if !c.noLinks || !strings.HasPrefix(m[1], "link") {
			counts[m[1]]++
		}
	}
	if len(counts) == 0 {
		t.Fatalf("%v makes none of the calls %s", c.args, calls)
	}
	return counts
}
