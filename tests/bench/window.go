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
	window := func(by string, at func(rows int) string) (durations, durations, error) {
		get := func(project string) func(int) (time.Duration, error) {
			return func(int) (time.Duration, error) {
				got, err := b.trackio(ctx, store, "get", "metric", "--project", project, "--run", "long", "--metric", "train/loss", by, at(sizes[project]/2), "--window", "10", "--json")
				if err != nil {
					return 0, err
				}
				return got.took, checkValues(got.stdout, 21)
			}
		}
		return takeTurns(ctx, turns, get("small"), get("large"))
	}
	small, large, err := window("--around", strconv.Itoa)
	if err != nil {
		return err
	}
	b.ratio("trackio get metric --around", small, large, limit)
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
