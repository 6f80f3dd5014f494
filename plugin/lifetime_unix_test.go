//go:build !windows

package plugin

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// alive reports whether a process is there and not merely waiting to be reaped.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !os.IsNotExist(err) || !isDir("/proc/self")
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// No backend process outlives its host, however the host ended.
func TestBackendEndsWithItsHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	thirdParty := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(thirdParty, []byte("backend \"test\" \"t\" {\n plugin = \""+self+"\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kill := func(signal syscall.Signal) func(*os.Process) error {
		return func(p *os.Process) error { return p.Signal(signal) }
	}
	for _, test := range []struct {
		name, mode, config string
		end                func(*os.Process) error
	}{
		{"kill -9 idle", "idle", "", kill(syscall.SIGKILL)},
		{"kill -9 in a list", "stream", "", kill(syscall.SIGKILL)},
		{"kill -9 in an import", "import", "", kill(syscall.SIGKILL)},
		{"kill -9 of the host of a third party's", "idle", thirdParty, kill(syscall.SIGKILL)},
		{"kill -9 of it in an import", "import", thirdParty, kill(syscall.SIGKILL)},
		{"Ctrl-C idle", "idle", "", kill(syscall.SIGINT)},
		{"Ctrl-C in a list", "stream", "", kill(syscall.SIGINT)},
		{"closed terminal", "idle", "", kill(syscall.SIGHUP)},
		{"SIGTERM", "import", "", kill(syscall.SIGTERM)},
		{"exit without closing", "exit", "", func(*os.Process) error { return nil }},
		{"exit without closing a third party's", "exit", thirdParty, func(*os.Process) error { return nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			trouble := "TRACKIO_TEST_TROUBLE="
			if test.mode == "stream" {
				trouble += "endless"
			}
			host := exec.Command(self)
			host.Env = append(os.Environ(), "TEST_HOST="+test.mode, "TEST_CONFIG="+test.config, trouble)
			host.Stderr = os.Stderr
			out, err := host.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatalf("the host said %q, %v", line, err)
			}
			backend, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // into the middle of what it does
			if test.mode != "exit" && !alive(backend) {
				t.Fatal("the backend is not there")
			}
			if err := test.end(host.Process); err != nil {
				t.Fatal(err)
			}
			_ = host.Wait() // it was killed: how it ended is known
			ended := time.Now()
			for alive(backend) {
				if time.Since(ended) > 2*time.Second {
					_ = syscall.Kill(backend, syscall.SIGKILL)
					t.Fatal("the backend outlived its host by 2 seconds")
				}
				time.Sleep(2 * time.Millisecond)
			}
			t.Logf("the backend ended %v after its host", time.Since(ended).Round(time.Millisecond))
		})
	}
}

// A host that dies between the handshake and its first call leaves nothing
// that a stream could tell: the timer and the pipe do.
func TestBackendEndsWithoutAHost(t *testing.T) {
	for name, args := range map[string][]string{"third party": nil, "built in": {"plugin", "serve", "test"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := exec.Command("/proc/self/exe", args...)
			if self, err := os.Executable(); err == nil {
				backend.Path = self
			}
			backend.Env = append(os.Environ(), cookieKey+"="+cookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR="+t.TempDir())
			out, err := backend.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := backend.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "1|1|unix|") {
				t.Fatalf("the handshake is %q, %v", line, err)
			}
			done := make(chan error, 1)
			go func() { done <- backend.Wait() }()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(2 * time.Second):
				_ = backend.Process.Kill()
				t.Fatal("the backend waits for a host that is gone")
			}
		})
	}
}
