package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// durations are what repetitions of one thing took.
type durations []time.Duration

func (d durations) median() time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

func (d durations) String() string {
	if m := d.median(); m < time.Second {
		return fmt.Sprintf("%.2f ms", float64(m)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.median().Seconds())
}

// takeTurns measures two things in turn, so that both meet what else the machine
// does. The first turn, which fills caches, does not count, and the order changes
// from turn to turn. What a thing has to do before and after it is measured it
// does outside the time that it returns.
func takeTurns(ctx context.Context, turns int, one, other func(turn int) (time.Duration, error)) (durations, durations, error) {
	var took [2]durations
	things := [2]func(int) (time.Duration, error){one, other}
	for turn := range turns + 1 {
		for i := range things {
			which := (turn + i) % 2
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			d, err := things[which](turn)
			if err != nil {
				return nil, nil, err
			}
			if turn > 0 {
				took[which] = append(took[which], d)
			}
		}
	}
	return took[0], took[1], nil
}
