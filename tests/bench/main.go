// The figures of this release, each a ratio of two things that are measured in
// the same run on the same machine and disk, so that they mean the same on a fast
// machine and a slow one:
//
//	make bench                          # all of them; needs sqlite3, some GB of disk, minutes
//	go run ./tests/bench -only move     # or list, start, window, objects
//
// A line of the report reads
//
//	what is measured      the one    the other    ratio    at most
//
// with the medians of runs that take turns, and it ends in "ok" or "TOO MUCH". Any
// figure above its limit makes the program end with exit code 1.
//
//   - list: listing 100 runs of 10,000 rows in all, and of 1,000,000. A ratio of 1
//     says that a listing does not depend on the number of rows.
//   - move: one run of 200,000 rows from a project to another one, by the sqlite3
//     program (the same two transactions, with nothing around them) and by
//     "trackio move run", its backend process included. After each turn both
//     databases are looked at. The line below it is the memory of the program or
//     of its backend, whichever took more.
//   - start: "trackio version", and "trackio list projects" with its backend
//     process: what it costs to start a backend.
//   - window: "trackio get metric --around" on a run of 50,000 rows, and of
//     5,000,000, in its middle and where it has no rows. A ratio near 1 says that
//     a window is read and not the run.
//   - objects: on a real object store, the number of requests of moving a run of
//     1, of 100 and of 10,000 files, which must be the same, and of listing 10,000
//     runs; the import of 2,000 files of 20 KiB against "rclone copy --transfers
//     32" of them, and their deletion against "rclone purge".
//
// The databases are generated, in a directory of their own under TMPDIR; let that
// be a real disk. The machine should have nothing else to do: the report begins
// with its load, where the system tells it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// errTooMuch: a figure is above its limit.
var errTooMuch = errors.New("a figure is above its limit")

func main() {
	only := flag.String("only", "", "measure this `figure` alone: list, move, start, window or objects")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, os.Stdout, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the benchmarks.
type bench struct {
	dir     string // of its own, removed at the end
	program string // trackio, built as it is released
	out     *tabwriter.Writer
	failed  []string
}

func measure(ctx context.Context, out io.Writer, only string) (err error) {
	figures := []struct {
		name, title string
		measure     func(*bench, context.Context) error
	}{
		{"start", "Starting a backend process", (*bench).start},
		{"move", "Moving a run of 200,000 rows", (*bench).move},
		{"list", "Listing 100 runs, of 10,000 and of 1,000,000 rows", (*bench).list},
		{"window", "Reading a window of a run of 50,000 and of 5,000,000 rows", (*bench).window},
		{"objects", "On an object store", (*bench).objects},
	}
	b := &bench{out: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
	if b.dir, err = os.MkdirTemp("", "trackio-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.program, err = build(ctx, b.dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s/%s, %d CPUs, load %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load())
	known := false
	for _, f := range figures {
		if only != "" && only != f.name {
			continue
		}
		known = true
		fmt.Fprintf(out, "\n%s\n", f.title)
		if err := f.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := b.out.Flush(); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("no figure %q: -only takes list, move, start, window or objects", only)
	}
	fmt.Fprintf(out, "\nload at the end %s\n", load())
	if len(b.failed) > 0 {
		return fmt.Errorf("%w: %s", errTooMuch, strings.Join(b.failed, "; "))
	}
	return nil
}

// ratio reports how much longer the other took than the one.
func (b *bench) ratio(what string, one, other durations, limit float64) {
	ratio := float64(other.median()) / float64(one.median())
	b.row(what, one.String(), other.String(), fmt.Sprintf("%.2f", ratio), fmt.Sprintf("%.2f", limit), ratio <= limit)
}

// row reports a figure.
func (b *bench) row(what, one, other, value, limit string, ok bool) {
	verdict := "ok"
	if !ok {
		verdict = "TOO MUCH"
		b.failed = append(b.failed, fmt.Sprintf("%s is %s, and may be %s", what, value, limit))
	}
	fmt.Fprintf(b.out, "  %-40s\t%s\t%s\t%s\tat most %s\t%s\t\n", what, one, other, value, limit, verdict)
}

// load is the system's load average, as far as it tells.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) >= 3 {
		return strings.Join(fields[:3], " ")
	}
	return "not known"
}

// sub makes a directory inside the benchmark's own.
func (b *bench) sub(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.MkdirAll(dir, 0o755) // #nosec G301: nothing secret
}

// timed returns how long do took.
func timed(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}
