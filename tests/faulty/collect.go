package main

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// collecting is a faulty backend with a directory of files that no run refers
// to. A file named fault is met with the fault.
type collecting struct {
	faulty
	dir string
}

func (c collecting) Collect(ctx context.Context, opts trackio.CollectOptions) iter.Seq2[trackio.Garbage, error] {
	return func(yield func(trackio.Garbage, error) bool) {
		entries, err := os.ReadDir(c.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(trackio.Garbage{}, err)
			return
		}
		for _, entry := range entries {
			g, err := c.remove(ctx, entry, opts)
			if err != nil {
				yield(trackio.Garbage{}, err)
				return
			}
			if time.Since(g.Since) >= opts.Grace && !yield(g, nil) {
				return
			}
		}
	}
}

// remove removes a file that is old enough.
func (c collecting) remove(ctx context.Context, entry fs.DirEntry, opts trackio.CollectOptions) (trackio.Garbage, error) {
	info, err := entry.Info()
	if err != nil {
		return trackio.Garbage{}, err
	}
	g := trackio.Garbage{Kind: trackio.GarbageImport, Name: entry.Name(), Since: info.ModTime(), Objects: 1, Bytes: info.Size()}
	if entry.Name() == "fault" {
		for _, err := range c.ListProjects(ctx) {
			return g, err
		}
	}
	if opts.DryRun || time.Since(g.Since) < opts.Grace {
		return g, ctx.Err()
	}
	return g, errors.Join(ctx.Err(), os.Remove(filepath.Join(c.dir, g.Name)))
}
