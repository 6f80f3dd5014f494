//go:build unix

package sqlite

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asStranger runs a helper as a user who owns nothing here, so that permissions
// mean something to the superuser's tests too. It returns the output and the
// errors.
func asStranger(t *testing.T, helper string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	if _, err := os.Stat(cmd.Path); err != nil {
		cmd = exec.Command(os.Args[0], args...)
	}
	cmd.Env = append(os.Environ(), "TRACKIO_SQLITE_TEST_HELPER="+helper)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	return out.String(), problems.String(), err
}

// readOnlyDir makes a directory that a stranger can enter and read; seal takes
// the owner's right to write away as well.
func readOnlyDir(t *testing.T) (dir string, seal func()) {
	t.Helper()
	base := t.TempDir()
	for _, d := range []string{filepath.Dir(base), base} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir = filepath.Join(base, "store")
	return dir, func() {
		t.Helper()
		var dirs []string
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				dirs = append(dirs, path)
				return nil
			}
			return os.Chmod(path, 0o444)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dirs {
			if err := os.Chmod(d, 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(d, 0o755) })
		}
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	for name, without := range map[string]string{"closed cleanly": "", "killed writer": "", "copied without -shm": "-shm"} {
		t.Run(name, func(t *testing.T) {
			dir, seal := readOnlyDir(t)
			live := t.TempDir()
			p := newProject(t, live, "demo", genTraces)
			fillProject(p)
			if name == "closed cleanly" {
				p.done()
			}
			copyTree(t, live, dir, without)
			if name != "closed cleanly" {
				p.done()
			}
			want := readAll(t, live)
			seal()
			before := treeOf(t, dir)
			stdout, stderr, err := asStranger(t, "read", dir)
			if err != nil || stdout != want {
				t.Errorf("%v %s\nread\n%s\nwant\n%s", err, stderr, stdout, want)
			}
			sameTree(t, dir, before)
		})
	}
}

func TestFilesOfAnotherUser(t *testing.T) {
	for name, want := range map[string]string{"demo.db": "demo.db", "media/demo/train/0/a0.png": "a0.png", "media/demo/train/0": "a0.png", "inbox": "inbox"} {
		t.Run(name, func(t *testing.T) {
			dir, _ := readOnlyDir(t)
			p := newProject(t, dir, "demo", genTraces)
			fillProject(p)
			p.done()
			if err := os.MkdirAll(filepath.Join(dir, "inbox", "w"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, name), 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, name), 0o755) })
			_, stderr, err := asStranger(t, "read", dir)
			if err == nil || !strings.Contains(stderr, "permission denied: ") || !strings.Contains(stderr, want) {
				t.Errorf("%v, %s", err, stderr)
			}
		})
	}
}
