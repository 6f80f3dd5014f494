package trackio_test

import (
	"context"
	"fmt"
	"time"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

// sample returns a storage with a few runs. A program opens one of its own, such
// as the directory that Trackio writes.
func sample() trackio.Backend {
	b := memory.New()
	for _, r := range []struct{ project, id, name, created, config string }{
		{"my_project", "1", "first-try", "2023-11-05T10:00:00+00:00", `{"_Created":"2023-11-05T10:00:00+00:00"}`},
		{"my_project", "2", "baseline", "2023-12-31T23:59:59+00:00", `{"_Created":"2023-12-31T23:59:59+00:00"}`},
		{"my_project", "3", "tuned", "2024-03-01T10:00:00+00:00", `{"_Created":"2024-03-01T10:00:00+00:00"}`},
		{"my_project", "4", "no-config", "2022-01-01T00:00:00+00:00", ""},
		{"experiments", "5", "lr-0.1", "2024-05-01T10:00:00+00:00", ""},
		{"experiments", "6", "lr-0.01", "2024-05-02T10:00:00+00:00", ""},
	} {
		if err := store(b, r.project, r.id, r.name, r.created, r.config); err != nil {
			panic(err)
		}
	}
	return b
}

// List all runs across projects.
func Example() {
	ctx := context.Background()
	api := trackio.New(sample())
	defer api.Close()

	projects, err := api.Projects(ctx)
	if err != nil {
		panic(err)
	}
	for _, project := range projects {
		fmt.Printf("Project: %s\n", project)
		runs, err := api.Runs(ctx, project)
		if err != nil {
			panic(err)
		}
		for run := range runs.All() {
			fmt.Printf("  - %s\n", run.Name())
		}
	}
	// Output:
	// Project: experiments
	//   - lr-0.1
	//   - lr-0.01
	// Project: my_project
	//   - no-config
	//   - first-try
	//   - baseline
	//   - tuned
}

// Clean up old runs: those that were created before a date.
func ExampleRuns_Delete() {
	ctx := context.Background()
	api := trackio.New(sample())
	defer api.Close()

	runs, err := api.Runs(ctx, "my_project")
	if err != nil {
		panic(err)
	}
	old := runs.CreatedBefore(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC))
	deleted, err := old.Delete(ctx, trackio.BulkOptions{})
	if err != nil {
		panic(err)
	}
	for _, d := range deleted {
		fmt.Println("Deleted old run:", d.Run.Name())
	}
	// Output:
	// Deleted old run: no-config
	// Deleted old run: first-try
	// Deleted old run: baseline
}

// Select runs by their configs. When those come with the listing, the filter
// needs no further request.
func ExampleRuns_Where() {
	ctx := context.Background()
	api := trackio.New(sample())
	defer api.Close()

	runs, err := api.RunsWith(ctx, "my_project", trackio.ListOptions{Config: true})
	if err != nil {
		panic(err)
	}
	cutoff := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
	old := runs.Where(func(run *trackio.Run) bool {
		config, err := run.Config(ctx)
		if err != nil {
			return false
		}
		text, _ := config["_Created"].(string)
		created, err := trackio.ParseTime(text)
		return err == nil && created.Before(cutoff)
	})
	for run := range old.All() {
		fmt.Println(run.Name(), "says that it is old")
	}
	// Output:
	// first-try says that it is old
	// baseline says that it is old
}

// Every run knows when it began, with a config or without.
func ExampleRun_CreatedAt() {
	ctx := context.Background()
	api := trackio.New(sample())
	defer api.Close()

	runs, err := api.Runs(ctx, "my_project")
	if err != nil {
		panic(err)
	}
	cutoff := time.Date(2023, time.January, 1, 0, 0, 0, 0, time.UTC)
	for run := range runs.All() {
		if run.CreatedAt().Before(cutoff) {
			fmt.Println(run.Name(), "began at", trackio.FormatTime(run.CreatedAt()))
		}
	}
	// Output:
	// no-config began at 2022-01-01T00:00:00+00:00
}

// Organize runs by moving them: all runs of one project go to another.
func ExampleRuns_Move() {
	ctx := context.Background()
	api := trackio.New(sample())
	defer api.Close()

	runs, err := api.Runs(ctx, "experiments")
	if err != nil {
		panic(err)
	}
	_, err = runs.Move(ctx, "archive", trackio.BulkOptions{
		Progress: func(done, total int, last trackio.BulkResult) {
			if last.Err == nil {
				fmt.Printf("Moved %s to %s (%d of %d)\n", last.Run.Name(), last.Run.Project(), done, total)
			}
		},
	})
	if err != nil {
		panic(err)
	}
	// Output:
	// Moved lr-0.1 to archive (1 of 2)
	// Moved lr-0.01 to archive (2 of 2)
}
