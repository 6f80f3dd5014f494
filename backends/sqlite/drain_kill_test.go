//go:build kill && linux

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

// Calls that leave something behind; strace passes over those marked that the
// architecture does not have.
const leavingCalls = "?link,linkat,?unlink,unlinkat,?rmdir,?rename,renameat,renameat2,?mkdir,mkdirat,write,pwrite64,truncate,ftruncate,fallocate,fsync,fdatasync"

// A deletion that first imports the inbox, for two projects of which one is new,
// is killed before every call that leaves something behind. Whenever that is, no
// row is lost, none is there twice, and the next try ends it.
func TestKilledDraining(t *testing.T) {
	traced := func(dir string, args ...string) (killed bool, log string) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "log")
		cmd := exec.Command("strace", append(append([]string{"-f", "-q", "-o", out, "-e", "signal=KILL"}, args...), os.Args[0], dir)...)
		cmd.Env = append(os.Environ(), "TRACKIO_SQLITE_TEST_HELPER=delete-forced", "GOGC=off")
		text, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		killed = strings.Contains(string(data), "killed by SIGKILL")
		if !killed && exit != nil {
			t.Fatalf("not killed, and yet: %s", text)
		}
		return killed, string(data)
	}
	model, _ := twoProjects(t)
	copyOf := func() string {
		dir := filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(dir, os.DirFS(model.dir)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	_, log := traced(copyOf(), "-e", "trace="+leavingCalls)
	calls := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllStringSubmatch(log, -1) {
		calls[m[1]] = true
	}
	kills := 0
	for call := range calls {
		for when := 1; ; when++ {
			dir := copyOf()
			killed, _ := traced(dir, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, when))
			if !killed {
				break
			}
			kills++
			if err := checkKilledDrain(t, dir); err != nil {
				t.Errorf("killed before %s %d: %v", call, when, err)
			}
		}
	}
	t.Logf("killed %d times, at %d kinds of calls", kills, len(calls))
	if kills < 50 {
		t.Error("the calls were not met")
	}
}

// checkKilledDrain looks at what a kill has left, and at what the next try makes
// of it.
func checkKilledDrain(t *testing.T, dir string) error {
	b, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	var unread []string // log ids that wait
	if err := b.eachFragment(t.Context(), func(f *fragment) {
		if id, _ := f.text("log_id"); id != nil {
			unread = append(unread, *id)
		}
	}); err != nil {
		return err
	}
	for _, id := range []string{"l1", "l3"} {
		if !slices.Contains(unread, id) && !b.hasDatabase("q") {
			return fmt.Errorf("row %s is neither in the inbox nor in its project", id)
		}
	}
	err = b.DeleteRun(t.Context(), trackio.RunRef{Project: "p", ID: "id-p"}, trackio.DeleteOptions{Force: true})
	if err != nil && !errors.Is(err, trackio.ErrNotFound) {
		return err
	}
	files, err := b.fragmentFiles()
	if err != nil || len(files) > 0 {
		return fmt.Errorf("left in the inbox: %v, %w", files, err)
	}
	if runs := listAll(t, b, "p"); len(runs) != 0 {
		return fmt.Errorf("the deleted run is there: %+v", runs)
	}
	runs := listAll(t, b, "q")
	if want := (trackio.Counts{Metrics: 3, Traces: 3}); len(runs) != 1 || *runs[0].Counts != want {
		return fmt.Errorf("the other project has %d runs: %+v", len(runs), runs)
	}
	checkDatabase(t, b.db("p"))
	checkDatabase(t, b.db("q"))
	return nil
}
