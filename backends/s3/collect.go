package s3

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/backends/s3/internal/ledger"
	"github.com/trackio-go/trackio/trackio"
)

// fenceBatch is how many data directories one commit fences.
const fenceBatch = 500

// skipAfter is the number of objects after which the rest of a directory that
// belongs to a run is skipped in a listing, which is a request of its own.
const skipAfter = 2000

// Collect implements [trackio.Collector]. What nobody refers to is fenced by a
// commit before it is deleted: an import that is still writing it can no longer
// become a run, so that no clock needs to be right and no grace period long
// enough.
func (b *Backend) Collect(ctx context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	return func(yield func(trackio.Garbage, error) bool) {
		ctx, leave, err := b.enter(ctx)
		if err != nil {
			yield(trackio.Garbage{}, err)
			return
		}
		defer leave()
		if err := b.collect(ctx, opts, func(g trackio.Garbage) bool { return yield(g, nil) }); err != nil {
			yield(trackio.Garbage{}, cause(ctx, err))
		}
	}
}

func (b *Backend) collect(ctx context.Context, opts trackio.CollectOptions, yield func(trackio.Garbage) bool) error {
	if !opts.DryRun {
		if err := b.writable(ctx); err != nil {
			return err
		}
	}
	left, err := b.abandoned(ctx, b.now().Add(-opts.Grace))
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(left, fenceBatch) {
		if !opts.DryRun {
			if batch, err = b.fence(ctx, batch); err != nil {
				return err
			}
		}
		for _, g := range batch {
			if !opts.DryRun {
				if err := b.removeData(ctx, g.Name); err != nil {
					return err
				}
			}
			g.Name = dataKey(g.Name, "")
			if !yield(g) {
				return nil
			}
		}
	}
	tidied, err := b.ledger.Tidy(ctx, opts.Grace, opts.DryRun)
	if err != nil {
		return err
	}
	if len(tidied.Keys) > 0 {
		yield(trackio.Garbage{Kind: trackio.GarbageCheckpoint, Name: "state/", Objects: int64(len(tidied.Keys)), Bytes: tidied.Bytes})
	}
	return nil
}

// fence keeps data directories from becoming runs, and returns those that had
// not become runs already.
func (b *Backend) fence(ctx context.Context, batch []trackio.Garbage) ([]trackio.Garbage, error) {
	names := make([]string, len(batch))
	for i, g := range batch {
		names[i] = g.Name
	}
	fenced, err := b.ledger.Fence(ctx, names)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(batch), func(g trackio.Garbage) bool { return !slices.Contains(fenced, g.Name) }), nil
}

// abandoned returns the data directories begun before a time that no run of the
// newest state has, by their ids.
func (b *Backend) abandoned(ctx context.Context, before time.Time) ([]trackio.Garbage, error) {
	known, err := b.known(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]*trackio.Garbage{}
	for after, again := "", true; again; {
		again = false
		last, belongs := "", 0
		for object, err := range b.bucket.ListAfter(ctx, ledger.DataPrefix, after) {
			if err != nil {
				return nil, err
			}
			data := ledger.DataOf(object.Key)
			if data != last {
				last, belongs = data, 0
			}
			began, ok := begun(data)
			switch {
			case !ok || began.After(before): // not ours, or too young
			case known[data]:
				if belongs++; belongs > skipAfter {
					after, again = dataKey(data, "~"), true // beyond all that it holds
				}
			default:
				g := found[data]
				if g == nil {
					g = &trackio.Garbage{Kind: trackio.GarbageImport, Name: data, Since: began}
					found[data] = g
				}
				g.Objects++
				g.Bytes += object.Size
			}
			if again {
				break
			}
		}
	}
	if known, err = b.known(ctx); err != nil { // what has become a run meanwhile
		return nil, err
	}
	var left []trackio.Garbage
	for data, g := range found {
		if !known[data] {
			left = append(left, *g)
		}
	}
	slices.SortFunc(left, func(x, y trackio.Garbage) int { return strings.Compare(x.Name, y.Name) })
	return left, nil
}

// known are the data directories of all runs.
func (b *Backend) known(ctx context.Context) (map[string]bool, error) {
	state, err := b.ledger.Load(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for data, err := range state.Data(ctx) {
		if err != nil {
			return nil, err
		}
		known[data] = true
	}
	return known, nil
}

// begun reads the time at which an import began out of the name of its
// directory; not ok for a name that this backend does not give.
func begun(data string) (time.Time, bool) {
	stamp, _, found := strings.Cut(data, "-")
	at, err := time.Parse("20060102T150405Z", stamp)
	return at, found && err == nil
}
