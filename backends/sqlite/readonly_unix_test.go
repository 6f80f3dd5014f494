//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// A store that may only be read is not changed, and the error says which
// directory or file it is about.
func TestChangesOfAReadOnlyDirectory(t *testing.T) {
	dir, seal := readOnlyDir(t)
	p := newProject(t, dir, "demo", genTraces)
	fillProject(p)
	p.done()
	seal()
	before := treeOf(t, dir)
	stdout, stderr, err := asStranger(t, "change", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 4 {
		t.Fatalf("answers:\n%s", stdout)
	}
	for _, line := range lines {
		if !strings.Contains(line, trackio.ErrPermission.Error()+":") || !strings.Contains(line, dir) {
			t.Errorf("%q names no %v and %s", line, trackio.ErrPermission, dir)
		}
	}
	sameTree(t, dir, before)
}

// A project whose files belong to somebody else cannot be a target, and the run
// stays where it is.
func TestMoveIntoAProjectOfAnotherUser(t *testing.T) {
	dir, _ := readOnlyDir(t)
	for _, project := range []string{"demo", "target"} {
		p := newProject(t, dir, project, genTraces)
		if project == "demo" {
			fillProject(p)
		}
		p.done()
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o777)
		} else if err == nil && !strings.HasSuffix(path, "target.db") {
			err = os.Chmod(path, 0o666)
		}
		return err
	})
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "target.db"), 0o444)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := contentOf(t, dir)
	stdout, stderr, err := asStranger(t, "move", dir)
	if err != nil || !strings.Contains(stdout, "target.db") || !strings.Contains(stdout, trackio.ErrPermission.Error()) {
		t.Errorf("%v %s\n%s", err, stderr, stdout)
	}
	if after := contentOf(t, dir); after != before {
		t.Errorf("the store changed:\n%s\nwas\n%s", after, before)
	}
	checkNothingLeft(t, dir)
}
