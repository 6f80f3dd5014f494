//go:build kill && linux

package kill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trackio-go/trackio/trackio"
)

// fullVariable: this process may mount.
const fullVariable = "TRACKIO_KILL_FULL"

// diskStep is how much more is free from one try to the next. With so much as
// enough bytes every change must succeed.
const (
	diskStep = 20 << 10
	enough   = 2 << 20
)

// TestFullDisk makes changes on a file system that gets full on the way, at ever
// later moments until there is room enough. That needs a mount, for which others
// than root get a namespace of their own.
func TestFullDisk(t *testing.T) {
	probe := t.TempDir()
	err := unix.Mount("tmpfs", probe, "tmpfs", 0, "")
	if errors.Is(err, unix.EPERM) && os.Getenv(fullVariable) == "" {
		cmd := exec.Command("unshare", "--map-root-user", "--mount", os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), fullVariable+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("in a namespace: %v\n%s", err, out)
		}
		return
	}
	if err == nil {
		err = unix.Unmount(probe, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenes() {
		switch s.change {
		case "move", "import", "delete", "rename":
		default:
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			s.noLinks = false // nothing is injected here
			st := s.prepare(t)
			refused := 0
			for free := 0; ; free += diskStep {
				if st.changeWithRoom(t, free) {
					break
				}
				refused++
			}
			if refused == 0 {
				t.Error("the disk was never too full")
			}
			t.Logf("refused %d times", refused)
		})
	}
}

// changeWithRoom makes the change on a disk with so many bytes free, and reports
// whether they were enough.
func (st *stage) changeWithRoom(t *testing.T, free int) (done bool) {
	t.Helper()
	disk, err := os.MkdirTemp("", "disk") //nolint:usetesting // it is unmounted here
	if err == nil {
		err = unix.Mount("tmpfs", disk, "tmpfs", 0, "size=4m")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(unix.Unmount(disk, unix.MNT_DETACH), os.Remove(disk)); err != nil {
			t.Error(err)
		}
	}()
	dir := filepath.Join(disk, "store")
	copyTree(t, st.dir, dir)
	filler := fill(t, disk, free)
	b := openStore(t, dir)
	failed := changes()[st.change](trackio.WithNotes(context.Background(), func(string) {}), b)
	_ = b.Close()
	text := fmt.Sprint(failed, "; ", trackio.HintOf(failed))
	if failed != nil && (!errors.Is(failed, trackio.ErrUnavailable) || !strings.Contains(text, "full") && !strings.Contains(text, "no space left")) {
		t.Errorf("%d bytes free: %v: %s", free, trackio.KindOf(failed), text)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := st.model.checkFault(t, dir, failed); err != nil {
		t.Errorf("%d bytes free: %v", free, err)
	}
	if failed != nil && free > enough {
		t.Fatalf("%d bytes free: %v", free, failed)
	}
	return failed == nil
}

// fill writes a file that leaves so many bytes free.
func fill(t *testing.T, disk string, free int) (filler string) {
	t.Helper()
	filler = filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var written int64
	for page := make([]byte, 4096); err == nil; {
		var n int
		n, err = f.Write(page)
		written += int64(n)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Truncate(max(written-int64(free), 0)); err != nil {
		t.Fatal(err)
	}
	return filler
}
