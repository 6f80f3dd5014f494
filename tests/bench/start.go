package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

func (b *bench) start(ctx context.Context) error {
	const turns, limit = 40, 6
	store, err := b.sub("start")
	if err != nil {
		return err
	}
	projects := []string{"alpha", "beta", "gamma"}
	for _, project := range projects {
		if err := generate(ctx, store, project, []runRows{{id: runID(1), name: "only", rows: 100}}); err != nil {
			return err
		}
	}
	version, list, err := takeTurns(ctx, turns,
		func(int) (time.Duration, error) {
			got, err := b.trackio(ctx, store, "version")
			return got.took, err
		},
		func(int) (time.Duration, error) {
			got, err := b.trackio(ctx, store, "list", "projects")
			if err == nil && len(bytes.Fields(got.stdout)) != len(projects) {
				err = fmt.Errorf("the projects are %q", got.stdout)
			}
			return got.took, err
		})
	if err != nil {
		return err
	}
	b.ratio("trackio version, list projects", version, list, limit)
	return nil
}
