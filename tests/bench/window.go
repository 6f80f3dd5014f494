package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

func (b *bench) window(ctx context.Context) error {
	const turns, limit = 15, 3
	store, err := b.sub("window")
	if err != nil {
		return err
	}
	sizes := map[string]int{"small": 50_000, "large": 5_000_000}
	for project, rows := range sizes {
		if err := generate(ctx, store, project, []runRows{{id: runID(1), name: "long", rows: rows}}); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		what   string
		around func(rows int) int
		values int
	}{
		{"trackio get metric --around", func(rows int) int { return rows / 2 }, 21},
		{"the same, after the last step", func(rows int) int { return 2 * rows }, 0},
	} {
		get := func(project string) func(int) (time.Duration, error) {
			return func(int) (time.Duration, error) {
				got, err := b.trackio(ctx, store, "get", "metric", "--project", project, "--run", "long", "--metric", "train/loss",
					"--around", strconv.Itoa(c.around(sizes[project])), "--window", "10", "--json")
				if err != nil {
					return 0, err
				}
				return got.took, checkValues(got.stdout, c.values)
			}
		}
		small, large, err := takeTurns(ctx, turns, get("small"), get("large"))
		if err != nil {
			return err
		}
		b.ratio(c.what, small, large, limit)
	}
	return nil
}

func checkValues(stdout []byte, want int) error {
	var got struct{ Values []json.RawMessage }
	if err := json.Unmarshal(stdout, &got); err != nil {
		return err
	}
	if len(got.Values) != want {
		return fmt.Errorf("the window holds %d values, not %d", len(got.Values), want)
	}
	return nil
}
