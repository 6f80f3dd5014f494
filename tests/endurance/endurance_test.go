//go:build endurance && linux

// Package endurance works on one Trackio directory for long in one process: ten
// thousand operations, after which nothing of them is left, be it an open file,
// a goroutine, a temporary file, a journal or a lock.
//
//	make endurance
package endurance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

const (
	total   = 10_000 // operations
	workers = 2
	reopen  = 50 // rounds with one opened backend
)

// memoryDir is a directory in memory when there is one with room, where syncing
// costs nothing; "" is that for temporary files.
func memoryDir() string {
	const dir, room = "/dev/shm", 256 << 20
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return ""
	}
	return dir
}

func TestNothingIsLeft(t *testing.T) {
	root, err := os.MkdirTemp(memoryDir(), "trackio-endurance-") //nolint:usetesting // in memory
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	temp, store := filepath.Join(root, "temp"), filepath.Join(root, "store")
	if err := os.Mkdir(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	for w := range workers { // what stays for good is made: databases, lock files, media directories
		if _, err := work(t.Context(), w, store, 0); err != nil {
			t.Fatal(err)
		}
	}
	before := observe(t, root)
	began := time.Now()
	var done [workers]int
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for round := 1; done[w] < total/workers; round += reopen {
				n, err := work(t.Context(), w, store, round)
				if done[w] += n; err != nil {
					t.Errorf("after %d operations: %v", done[w], err)
					return
				}
			}
		})
	}
	group.Wait()
	operations := 0
	for _, n := range done {
		operations += n
	}
	after := observe(t, root)
	t.Logf("%d operations in %v; descriptors %d, then %d; goroutines %d, then %d; files %d, then %d",
		operations, time.Since(began).Round(time.Second), len(before.descriptors), len(after.descriptors),
		before.goroutines, after.goroutines, len(before.files), len(after.files))
	if operations < total {
		t.Errorf("%d operations", operations)
	}
	// The runtime keeps a few of its own.
	if len(after.descriptors) > len(before.descriptors)+2 {
		t.Errorf("open files before:\n%s\nand after:\n%s", strings.Join(before.descriptors, "\n"), strings.Join(after.descriptors, "\n"))
	}
	if after.goroutines > before.goroutines+2 {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines instead of %d:\n%s", after.goroutines, before.goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if !slices.Equal(before.files, after.files) {
		t.Errorf("files before:\n%s\nand after:\n%s", strings.Join(before.files, "\n"), strings.Join(after.files, "\n"))
	}
}

// observed is what may be left behind.
type observed struct {
	descriptors []string // what they are open on
	files       []string // below the root, and directories
	goroutines  int
}

func observe(t *testing.T, root string) (o observed) {
	t.Helper()
	for range 20 { // what is ending may end
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err == nil {
			o.descriptors = append(o.descriptors, target)
		}
	}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		o.files = append(o.files, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	o.goroutines = runtime.NumGoroutine()
	return o
}

// work opens the directory and makes rounds of operations with runs of its own,
// round 0 alone or as many as reopen says. It returns the number of operations.
func work(ctx context.Context, worker int, store string, first int) (n int, err error) {
	b, err := sqlite.Open(ctx, sqlite.Config{Dir: store})
	if err != nil {
		return 0, err
	}
	defer b.Close()
	last := first
	if first > 0 {
		last += reopen - 1
	}
	for round := first; round <= last; round++ {
		for _, step := range steps(b, fmt.Sprintf("w%d", worker), fmt.Sprintf("run-%d-%d", worker, round)) {
			n++
			if err := step.do(ctx); err != nil {
				return n, fmt.Errorf("round %d, %s: %w", round, step.name, err)
			}
		}
	}
	return n, nil
}

type step struct {
	name string
	do   func(context.Context) error
}

// steps are one round: a run comes, is looked at, changed and deleted, and some
// of what is asked for fails.
func steps(b *sqlite.Backend, project, id string) []step {
	other := project + "-other"
	here, there := trackio.RunRef{Project: project, ID: id}, trackio.RunRef{Project: other, ID: id}
	torn := errors.New("torn")
	return []step{
		{"import", func(ctx context.Context) error {
			_, err := b.ImportRun(ctx, here, stream("first", nil))
			return err
		}},
		{"import that ends early", func(ctx context.Context) error {
			_, err := b.ImportRun(ctx, there, stream("torn", torn))
			return expect(err, torn)
		}},
		{"list", func(ctx context.Context) error {
			found := 0
			for run, err := range b.ListRuns(ctx, project, trackio.ListOptions{Counts: true, Latest: true}) {
				if err != nil {
					return err
				}
				if run.ID == id {
					found++
				}
			}
			if found != 1 {
				return fmt.Errorf("listed %d times", found)
			}
			return nil
		}},
		{"rename", func(ctx context.Context) error {
			_, err := b.RenameRun(ctx, here, "second", trackio.RenameOptions{})
			return err
		}},
		{"get", func(ctx context.Context) error {
			info, err := b.GetRun(ctx, here)
			if err == nil && info.Name != "second" {
				err = fmt.Errorf("its name is %q", info.Name)
			}
			return err
		}},
		{"move", func(ctx context.Context) error {
			_, err := b.MoveRun(ctx, here, other, trackio.MoveOptions{})
			return err
		}},
		{"move of what is not there", func(ctx context.Context) error {
			_, err := b.MoveRun(ctx, here, other, trackio.MoveOptions{})
			return expect(err, trackio.ErrNotFound)
		}},
		{"export", func(ctx context.Context) error { return export(ctx, b, there) }},
		{"export that is left", func(ctx context.Context) error {
			for _, err := range b.ExportRun(ctx, there, trackio.ExportOptions{}) {
				return err
			}
			return errors.New("nothing was exported")
		}},
		{"change of what has changed", func(ctx context.Context) error {
			return expect(b.DeleteRun(ctx, there, trackio.DeleteOptions{IfRevision: "another"}), trackio.ErrConflict)
		}},
		{"delete", func(ctx context.Context) error { return b.DeleteRun(ctx, there, trackio.DeleteOptions{}) }},
	}
}

func expect(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%w instead of %v", err, want)
}

// export reads a run whole, files included.
func export(ctx context.Context, b *sqlite.Backend, ref trackio.RunRef) error {
	rows, files := 0, 0
	for record, err := range b.ExportRun(ctx, ref, trackio.ExportOptions{}) {
		if err != nil {
			return err
		}
		switch r := record.(type) {
		case *trackio.Metrics:
			rows += len(r.Rows)
		case *trackio.Media:
			files++
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return err
			}
		}
	}
	if rows != rowsOfRun || files != 1 {
		return fmt.Errorf("exported %d rows and %d files", rows, files)
	}
	return nil
}

// rowsOfRun is how many rows a run has.
const rowsOfRun = 10

// stream is a small run; with an end, it ends with that before its file.
func stream(name string, end error) iter.Seq2[trackio.Record, error] {
	const body = "a picture"
	rows := &trackio.Metrics{}
	for step := range rowsOfRun {
		rows.Rows = append(rows.Rows, trackio.MetricsRow{
			Timestamp: time.Date(2026, 1, 1, 0, 0, step, 0, time.UTC).Format("2006-01-02T15:04:05+00:00"),
			Step:      int64(step),
			Metrics:   []byte(`{"loss":0.5,"img":{"_type":"trackio.image","file_path":"0/a.png","caption":null}}`),
			LogID:     fmt.Sprint(name, step),
		})
	}
	return func(yield func(trackio.Record, error) bool) {
		if !yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: name}, Kinds: trackio.AllKinds}, nil) || !yield(rows, nil) {
			return
		}
		if end != nil {
			yield(nil, end)
			return
		}
		yield(&trackio.Media{Path: "0/a.png", Size: int64(len(body)), Body: strings.NewReader(body)}, nil)
	}
}
