//go:build unix

package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// A directory that the user must not read is "permission denied", exit code 6,
// and not an empty storage. Root may read everything, so root tries as another
// user.
func TestPermission(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "trackio")
	if err := importRun(dir, trackio.RunRef{Project: "p", ID: "1"}, "first", "1", false); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(outer, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(outer, 0o700) }) // #nosec G302: a directory
	for _, args := range [][]string{
		{"list", "projects", "--json"}, {"list", "runs", "--project", "p"}, {"delete", "run", "--project", "p", "--run", "first", "--yes"},
	} {
		var out, errOut bytes.Buffer
		cmd := exec.Command(filepath.Join(bin, "trackio"), args...)
		cmd.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "TRACKIO_DIR=" + dir}
		cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &out, &errOut
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 6 || out.Len() > 0 || !strings.Contains(errOut.String(), dir) {
			t.Errorf("trackio %q: exit code %d, stdout %q, stderr %q", args, code, out.String(), errOut.String())
		}
	}
}
