//go:build kill && linux

package kill

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"strings"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// changeVariable makes this binary a process that makes one change.
const changeVariable = "TRACKIO_KILL_CHANGE"

// The runs that the changes are about.
var (
	subject   = trackio.RunRef{Project: "p", ID: "id-1"}    // what is changed
	unrelated = trackio.RunRef{Project: "z", ID: "id-gone"} // deleted by the next change
	steady    = trackio.RunRef{Project: "z", ID: "id-stays"}
)

// changes are what is killed, by name.
func changes() map[string]func(ctx context.Context, b *sqlite.Backend) error {
	move := func(ref trackio.RunRef, project string) func(context.Context, *sqlite.Backend) error {
		return func(ctx context.Context, b *sqlite.Backend) error {
			_, err := b.MoveRun(ctx, ref, project, trackio.MoveOptions{})
			return err
		}
	}
	rename := func(ref trackio.RunRef, name string) func(context.Context, *sqlite.Backend) error {
		return func(ctx context.Context, b *sqlite.Backend) error {
			_, err := b.RenameRun(ctx, ref, name, trackio.RenameOptions{})
			return err
		}
	}
	load := func(project string) func(context.Context, *sqlite.Backend) error {
		return func(ctx context.Context, b *sqlite.Backend) error {
			_, err := b.ImportRun(ctx, trackio.RunRef{Project: project, ID: "id-new"}, stream())
			return err
		}
	}
	return map[string]func(context.Context, *sqlite.Backend) error{
		"move":       move(subject, "q"),
		"move-named": move(trackio.RunRef{Project: "p", ID: "run"}, "q"), // by its name, in a database without ids
		"delete": func(ctx context.Context, b *sqlite.Backend) error {
			return b.DeleteRun(ctx, subject, trackio.DeleteOptions{})
		},
		"delete-named": func(ctx context.Context, b *sqlite.Backend) error {
			return b.DeleteRun(ctx, trackio.RunRef{Project: "p", ID: "run"}, trackio.DeleteOptions{})
		},
		"delete-project": func(ctx context.Context, b *sqlite.Backend) error {
			return b.DeleteProject(ctx, "p", trackio.DeleteOptions{})
		},
		"rename":       rename(subject, "new name"),
		"rename-named": rename(trackio.RunRef{Project: "p", ID: "run"}, "new name"),
		"import":       load("q"),
		"copy": func(ctx context.Context, b *sqlite.Backend) error {
			api := trackio.New(b)
			run, err := api.Run(ctx, subject.Project, subject.ID)
			if err == nil {
				_, err = run.Copy(ctx, api, "q", trackio.CopyOptions{})
			}
			return err
		},
		"copy-beside": func(ctx context.Context, b *sqlite.Backend) error {
			api := trackio.New(b)
			run, err := api.Run(ctx, subject.Project, subject.ID)
			if err == nil {
				_, err = run.Copy(ctx, api, subject.Project, trackio.CopyOptions{ID: "id-copy"})
			}
			return err
		},
		// The change after a crash: it settles what it finds, before its own work.
		"next": func(ctx context.Context, b *sqlite.Backend) error {
			return b.DeleteRun(ctx, unrelated, trackio.DeleteOptions{})
		},
		// Settles what it finds, and has nothing to do beyond that.
		"settle": rename(steady, "stays"),
	}
}

// runChange makes a change and returns the exit code of the process.
func runChange(name, dir string) int {
	if transfers()[name] != nil {
		if err := runTransfer(name, dir); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			return 1
		}
		return 0
	}
	// strace counts each thread for itself, so all the work is one thread's.
	runtime.LockOSThread()
	b, err := sqlite.Open(context.Background(), sqlite.Config{Dir: dir})
	if err == nil {
		err = makeChange(name, b)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// makeChange makes a change; an interrupted one that it cannot settle is an error.
func makeChange(name string, b *sqlite.Backend) error {
	do := changes()[name]
	if do == nil {
		return fmt.Errorf("no such change: %s", name)
	}
	var unsettled error
	ctx := trackio.WithNotes(context.Background(), func(note string) {
		if strings.Contains(note, "could not be settled") || strings.Contains(note, "will be removed") {
			unsettled = fmt.Errorf("note: %s", note)
		}
	})
	if err := do(ctx, b); err != nil {
		return err
	}
	return unsettled
}

// stream is a run on its way from another storage, as trackio demo makes them.
func stream() iter.Seq2[trackio.Record, error] {
	image := func(path string) string {
		return `{"_type":"trackio.image","file_path":"` + path + `","caption":null}`
	}
	text, step := "too high", int64(1)
	records := []trackio.Record{
		&trackio.Header{RunInfo: trackio.RunInfo{Name: "run"}, Kinds: trackio.AllKinds},
		&trackio.Config{JSON: []byte(`{"lr":0.1}`), CreatedAt: at(0)},
		&trackio.Metrics{Rows: []trackio.MetricsRow{
			{Timestamp: at(1), Step: 0, Metrics: []byte(`{"loss":1.0,"sample":` + image("0/a.png") + `}`), LogID: "new-0"},
			{Timestamp: at(2), Step: 1, Metrics: []byte(`{"loss":0.5,"sample":` + image("1/b.png") + `}`), LogID: "new-1"},
			{Timestamp: at(3), Step: 2, Metrics: []byte(`{"loss":0.2,"lost":` + image("2/lost.png") + `}`), LogID: "new-2"},
		}},
		&trackio.SystemMetrics{Rows: []trackio.SystemMetricsRow{{Timestamp: at(1), Metrics: []byte(`{"gpu":0.5}`), LogID: "new-s"}}},
		&trackio.Alerts{Rows: []trackio.AlertRow{{Timestamp: at(2), Title: "loss", Text: &text, Level: "warn", Step: &step, AlertID: "new-a"}}},
		&trackio.Traces{Rows: []trackio.TraceRow{{
			ID: "id-new:t", Timestamp: at(2), Step: 1, Key: "chat", Messages: []byte(`[{"role":"user","content":[` + image("1/t.png") + `]}]`),
			Metadata: []byte(`{}`), SearchText: "user 1/t.png",
		}}},
	}
	for _, file := range []struct{ path, content string }{
		{"0/a.png", "new a"}, {"1/b.png", strings.Repeat("new b ", 10_000)}, {"1/t.png", "new t"},
	} {
		records = append(records, &trackio.Media{Path: file.path, Size: int64(len(file.content)), Body: strings.NewReader(file.content)})
	}
	records = append(records, &trackio.Media{Path: "2/lost.png", Missing: true})
	return func(yield func(trackio.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}
