package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

const (
	workers    = 30
	collectors = 2 // further processes, which do nothing else
	manyTime   = time.Minute
)

// TestManyProcesses: 32 processes import, move, rename, delete and collect, with
// no grace, in two projects on one server; some are killed. Every worker finds
// its runs as they must be all the time, nothing is lost or doubled in the end,
// and a last collection leaves nothing that the state does not know.
func TestManyProcesses(t *testing.T) {
	server := servers.Start(t, servers.Versitygw)
	bucket := server.Bucket(t)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), manyTime+3*time.Minute)
	defer cancel()
	until := time.Now().Add(manyTime)

	var (
		mu     sync.Mutex
		kills  int
		starts int
		failed []error
		all    sync.WaitGroup
	)
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, err)
	}
	for n := range workers + collectors {
		all.Go(func() {
			for time.Now().Before(until) {
				cmd := exec.CommandContext(ctx, os.Args[0])
				cmd.Env = append(os.Environ(), fmt.Sprint(workerKey, "=", n), bucketKey+"="+bucket,
					journalKey+"="+journal(dir, n), fmt.Sprint(untilKey, "=", until.UnixMilli()))
				var output bytes.Buffer
				cmd.Stdout, cmd.Stderr = &output, &output
				if err := cmd.Start(); err != nil {
					fail(err)
					return
				}
				mu.Lock()
				starts++
				mu.Unlock()
				killed := killLater(cmd, n, until)
				if err := cmd.Wait(); err != nil && !killed() {
					fail(fmt.Errorf("worker %d: %w\n%s", n, err, &output))
					return
				} else if err != nil {
					mu.Lock()
					kills++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	time.Sleep(2 * time.Second) // requests of those that were killed last
	done := checkEnd(ctx, t, bucket, dir)
	t.Logf("%d processes started, %d killed; done: %v", starts, kills, done)
	for n := range collectors {
		_, _, count, err := readJournal(journal(dir, workers+n))
		if err != nil {
			t.Error(err)
		}
		done["collect"] += count["collect"]
	}
	if done["collect"] < 10 {
		t.Errorf("only %d collections", done["collect"])
	}
	for _, op := range []string{"import", "move", "rename", "delete"} {
		if done[op] < workers {
			t.Errorf("only %d of op %s: this was no test", done[op], op)
		}
	}
	if kills < 10 {
		t.Errorf("only %d kills", kills)
	}
	checkCollected(ctx, t, server, bucket)
}

func journal(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("worker-%02d", n)) }

// killLater kills every third worker some time after its start; the function that
// it returns says whether it did.
func killLater(cmd *exec.Cmd, n int, until time.Time) func() bool {
	if n%3 != 0 {
		return func() bool { return false }
	}
	var mu sync.Mutex
	killed := false
	timer := time.AfterFunc(time.Duration(2000+rand.IntN(8000))*time.Millisecond, func() {
		mu.Lock()
		defer mu.Unlock()
		killed = time.Now().Before(until) && cmd.Process.Kill() == nil
	})
	return func() bool {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		return killed
	}
}

func collectOnce(ctx context.Context, bucket string) (objects int64, err error) {
	b, err := s3.Open(ctx, s3.Config{Bucket: bucket})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for g, err := range b.Collect(ctx, trackio.CollectOptions{}) {
		if err != nil {
			return objects, err
		}
		objects += g.Objects
	}
	return objects, nil
}

// checkEnd compares the store with what the journals say, and returns how often
// each thing was done.
func checkEnd(ctx context.Context, t *testing.T, bucket, dir string) map[string]int {
	b, err := s3.Open(ctx, s3.Config{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	found, err := places(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]int{}
	for n := range workers {
		runs, open, count, err := readJournal(journal(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		for what, n := range count {
			done[what] += n
		}
		other := maps.Clone(runs)
		if open != nil {
			other.apply(*open)
		}
		ids := slices.Collect(maps.Keys(runs))
		for id := range other {
			if _, ok := runs[id]; !ok {
				ids = append(ids, id)
			}
		}
		for _, id := range ids {
			here := found[id]
			delete(found, id)
			before, was := runs[id]
			after, will := other[id]
			switch {
			case len(here) > 1:
				t.Errorf("run %s is in several places", id)
			case len(here) == 0 && was && will:
				t.Errorf("run %s is lost; it was in %s", id, before.Project)
			case len(here) == 0: // the open step was its import or its deletion
			case here[0].Project != before.Project && here[0].Project != after.Project:
				t.Errorf("run %s is in %s, not in %s", id, here[0].Project, before.Project)
			case here[0].Name != before.Name && here[0].Name != after.Name:
				t.Errorf("run %s is called %q, not %q", id, here[0].Name, before.Name)
			default:
				if err := whole(ctx, b, here[0].RunRef, runRows, runFiles); err != nil {
					t.Errorf("run %s: %v", id, err)
				}
			}
		}
	}
	for id := range found {
		t.Errorf("run %s is there, and no worker has it", id)
	}
	return done
}

// checkCollected collects once more and compares the bucket, object by object,
// with what the state knows.
func checkCollected(ctx context.Context, t *testing.T, server *servers.Server, bucket string) {
	if _, err := collectOnce(ctx, bucket); err != nil {
		t.Fatal(err)
	}
	if again, err := collectOnce(ctx, bucket); err != nil || again != 0 {
		t.Errorf("a second collection finds %d objects, %v", again, err)
	}
	checkObjects(ctx, t, server, bucket)
}
