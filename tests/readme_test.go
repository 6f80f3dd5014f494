package tests

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// The Go code of the README, each piece in a function of its own.

func readmeOpen(ctx context.Context, use func(*trackio.Api) error) error {
	backend, err := sqlite.Open(ctx, sqlite.Config{}) // the directory that Python Trackio uses
	if err != nil {
		return err
	}
	api := trackio.New(backend)
	defer api.Close()
	return use(api)
}

func readmeList(ctx context.Context, api *trackio.Api) error {
	projects, err := api.Projects(ctx)
	if err != nil {
		return err
	}
	for _, project := range projects {
		runs, err := api.Runs(ctx, project)
		if err != nil {
			return err
		}
		fmt.Println("Project:", project)
		for run := range runs.All() {
			fmt.Println("  -", run.Name())
		}
	}
	return nil
}

func readmeCleanUp(ctx context.Context, api *trackio.Api) error {
	runs, err := api.Runs(ctx, "my_project")
	if err != nil {
		return err
	}
	old := runs.CreatedBefore(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	if _, err := old.Delete(ctx, trackio.BulkOptions{}); err != nil {
		return err
	}
	return nil
}

func readmeMove(ctx context.Context, api *trackio.Api) error {
	runs, err := api.Runs(ctx, "experiments")
	if err != nil {
		return err
	}
	results, err := runs.Move(ctx, "archive", trackio.BulkOptions{})
	for _, r := range results {
		if r.Err == nil {
			fmt.Println("Moved", r.Run.Name(), "to", r.Run.Project())
		}
	}
	if err != nil {
		return err // which runs were not moved, and why
	}
	return nil
}

// Example_readme runs it.
func Example_readme() {
	ctx := context.Background()
	api := trackio.New(memory.New())
	for _, r := range []struct{ project, id, created string }{
		{"my_project", "old", "2023-12-31T23:59:59+00:00"},
		{"my_project", "new", "2024-01-01T00:00:00+00:00"},
		{"experiments", "one", "2024-05-01T10:00:00+00:00"},
		{"experiments", "two", "2024-05-02T10:00:00+00:00"},
	} {
		_, err := api.Backend().ImportRun(ctx, trackio.RunRef{Project: r.project, ID: r.id}, func(yield func(trackio.Record, error) bool) {
			_ = yield(&trackio.Header{RunInfo: trackio.RunInfo{Name: r.id}, Kinds: trackio.AllKinds}, nil) &&
				yield(&trackio.Metrics{Rows: []trackio.MetricsRow{{Timestamp: r.created, Metrics: []byte(`{"loss":1}`)}}}, nil)
		})
		if err != nil {
			panic(err)
		}
	}
	for _, run := range []func(context.Context, *trackio.Api) error{readmeCleanUp, readmeMove, readmeList} {
		if err := run(ctx, api); err != nil {
			panic(err)
		}
	}
	// Output:
	// Moved one to archive
	// Moved two to archive
	// Project: archive
	//   - one
	//   - two
	// Project: my_project
	//   - new
}

// TestReadmeOpens: the first piece opens the directory that the environment names.
func TestReadmeOpens(t *testing.T) {
	t.Setenv("TRACKIO_DIR", t.TempDir())
	err := readmeOpen(t.Context(), func(api *trackio.Api) error {
		projects, err := api.Projects(t.Context())
		if len(projects) != 0 {
			t.Errorf("a new directory has the projects %q", projects)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestReadmeCode: every piece of Go in the README is one of those above.
func TestReadmeCode(t *testing.T) {
	flat := func(text string) string {
		var lines []string
		for line := range strings.Lines(text) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.Join(lines, "\n")
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	pieces := strings.Split(string(readme), "\n```go\n")[1:]
	if len(pieces) < 4 {
		t.Errorf("the README has %d pieces of Go", len(pieces))
	}
	for _, piece := range pieces {
		code, _, _ := strings.Cut(piece, "\n```")
		if !strings.Contains(flat(string(source)), flat(code)) {
			t.Errorf("the README has code that is not tested:\n%s", code)
		}
	}
}
