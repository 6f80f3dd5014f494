package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hanging starts the program on a backend that never answers, and returns when
// it waits for the answer.
func hanging(t *testing.T) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Log("signals are those of Unix")
		return nil, nil
	}
	config := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(config, []byte("backend \"faulty\" \"slow\" {\n  fault = \"hang\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stderr = &bytes.Buffer{}
	cmd = exec.Command(filepath.Join(bin, "trackio"), "list", "projects", "--json", "--config", config)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TRACKIO_PLUGIN_PATH=" + bin}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(children(t, cmd.Process.Pid)) == 0; time.Sleep(20 * time.Millisecond) {
		if runtime.GOOS != "linux" || time.Now().After(deadline) {
			break
		}
	}
	time.Sleep(500 * time.Millisecond) // for the connection; an interrupt is as good before it
	return cmd, stderr
}

// An interrupt ends the program with 130, one word on stderr, and no process
// left behind.
func TestInterrupt(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd, stderr := hanging(t)
		if cmd == nil {
			return
		}
		backends := children(t, cmd.Process.Pid)
		if runtime.GOOS == "linux" && len(backends) != 1 {
			t.Errorf("%v: the program has the children %v, want one backend", signal, backends)
		}
		begin := time.Now()
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%v: ended after %s", signal, took)
		}
		if code := cmd.ProcessState.ExitCode(); code != 130 || stderr.String() != "error: interrupted\n" {
			t.Errorf("%v: exit code %d, stderr %q", signal, code, stderr)
		}
		gone(t, backends)
	}
}

// A backend does not outlive its host, however that ended.
func TestKilled(t *testing.T) {
	cmd, _ := hanging(t)
	if cmd == nil {
		return
	}
	backends := children(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, backends)
}

// children returns the processes that a process has started, on Linux.
func children(t *testing.T, pid int) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, list := range lists {
		text, err := os.ReadFile(list) // #nosec G304: a file of /proc
		if err == nil {
			all = append(all, strings.Fields(string(text))...)
		}
	}
	return all
}

// gone waits until the processes have ended, two seconds at most.
func gone(t *testing.T, pids []string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var alive []string
		for _, pid := range pids {
			if stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat")); err == nil && !bytes.Contains(stat, []byte(") Z ")) {
				alive = append(alive, pid)
			}
		}
		if len(alive) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("backend processes %v are alive two seconds after their host ended", alive)
		}
	}
}
