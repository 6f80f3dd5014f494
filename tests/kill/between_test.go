//go:build kill && linux

package kill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/trackio"
)

// processNames are those of a move or a copy between two stores: the host, which
// is this binary, and a backend for each store.
var processNames = []string{"host", "source", "target"}

// builtins are the backends that this binary serves.
func builtins() []plugin.Definition {
	return []plugin.Definition{plugin.Define(plugin.Info{Type: "sqlite", Version: "kill", Description: "a Trackio directory"}, sqlite.Open)}
}

// transfers are changes between the stores from and to, by name.
func transfers() map[string]func(ctx context.Context, from, to trackio.Backend) error {
	transfer := func(do func(context.Context, *trackio.Run, *trackio.Api) error) func(context.Context, trackio.Backend, trackio.Backend) error {
		return func(ctx context.Context, from, to trackio.Backend) error {
			run, err := trackio.New(from).Run(ctx, subject.Project, subject.ID)
			if err != nil {
				return err
			}
			return do(ctx, run, trackio.New(to))
		}
	}
	return map[string]func(context.Context, trackio.Backend, trackio.Backend) error{
		"move between": transfer(func(ctx context.Context, run *trackio.Run, to *trackio.Api) error {
			return run.MoveTo(ctx, to, "q", trackio.MoveOptions{})
		}),
		"copy between": transfer(func(ctx context.Context, run *trackio.Run, to *trackio.Api) error {
			_, err := run.Copy(ctx, to, "q", trackio.CopyOptions{})
			return err
		}),
	}
}

// runTransfer makes a transfer with backends in processes of their own.
func runTransfer(name, dir string) error {
	ctx := context.Background()
	cfg, err := plugin.LoadConfig(filepath.Join(dir, "config.hcl"))
	if err != nil {
		return err
	}
	host := &plugin.Host{Builtins: builtins()}
	open := func(name string) (*plugin.Client, error) {
		block, err := cfg.Select(name)
		if err != nil {
			return nil, err
		}
		return host.Open(ctx, cfg, block)
	}
	from, err := open("from")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := open("to")
	if err != nil {
		return err
	}
	defer to.Close()
	return transfers()[name](ctx, from, to)
}

// transferHere makes a transfer in this process.
func transferHere(name, dir string) error {
	ctx := context.Background()
	from, err := sqlite.Open(ctx, sqlite.Config{Dir: filepath.Join(dir, "from")})
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := sqlite.Open(ctx, sqlite.Config{Dir: filepath.Join(dir, "to")})
	if err != nil {
		return err
	}
	defer to.Close()
	return transfers()[name](ctx, from, to)
}

// between is a transfer and the two stores.
type between struct {
	name, change string
	known        bool // the target has a project of the name
	again        bool // it has the run too, from a move that was interrupted before its end
	dir          string
	from, to     model
}

func betweens() []*between {
	return []*between{
		{name: "move to another store", change: "move between"},
		{name: "move into a project of another store", change: "move between", known: true},
		{name: "complete a move to another store", change: "move between", known: true, again: true},
		{name: "copy to another store", change: "copy between"},
	}
}

func (w *between) moves() bool { return w.change == "move between" }

// prepare makes the stores, and finds out what becomes of them unharmed.
func (w *between) prepare(t *testing.T) {
	t.Helper()
	w.dir = filepath.Join(t.TempDir(), "stores")
	made := filepath.Join(t.TempDir(), "made")
	from, to := builder{t, filepath.Join(made, "from")}, builder{t, filepath.Join(made, "to")}
	from.others()
	to.others()
	if w.known {
		to.small(trackio.RunRef{Project: "q", ID: "id-9"}, "third")
	}
	open := from.subject()
	copyTree(t, made, w.dir)
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	config := "backend \"sqlite\" \"from\" {\n  dir = \"from\"\n}\nbackend \"sqlite\" \"to\" {\n  dir = \"to\"\n}\n"
	if err := os.WriteFile(filepath.Join(w.dir, "config.hcl"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	if w.again {
		if err := transferHere("copy between", w.dir); err != nil {
			t.Fatal(err)
		}
	}
	w.from, w.to = model{source: "p", before: mustLook(t, w.part("from"))}, model{target: "q", before: mustLook(t, w.part("to"))}
	after := filepath.Join(t.TempDir(), "after")
	copyTree(t, w.dir, after)
	if err := transferHere(w.change, after); err != nil {
		t.Fatal(err)
	}
	for name, m := range w.models() {
		m.after = mustLook(t, filepath.Join(after, name))
		mustChange(t, "next", filepath.Join(after, name))
		m.done = mustLook(t, filepath.Join(after, name))
		if orphans := m.done.orphans(); len(orphans) > 0 {
			t.Fatalf("unharmed, the change leaves %v in %s", orphans, name)
		}
		changes := name == "from" && w.moves() || name == "to" && !w.again
		if changed := difference(m.before.readers, m.after.readers) != ""; changed != changes {
			t.Fatalf("the change changes %s: %v, want %v", name, changed, changes)
		}
	}
}

func (w *between) part(name string) string { return filepath.Join(w.dir, name) }

func (w *between) models() map[string]*model {
	return map[string]*model{"from": &w.from, "to": &w.to}
}

func (w *between) command(t *testing.T, dir string) command {
	return command{
		args: []string{os.Args[0], dir},
		env:  append(quietEnv(dir), changeVariable+"="+w.change, "TMPDIR="+sockets(t)),
	}
}

// sweepBetween kills each of the processes of a transfer: at every second call of a
// move to another store, at every sixth one of the other transfers, which do the
// same things in another order.
func sweepBetween(t *testing.T) {
	for _, w := range betweens() {
		t.Run(w.name, func(t *testing.T) {
			w.prepare(t)
			operations.Add(1)
			stride := 6
			if w.name == "move to another store" {
				stride = 2
			}
			sweepProcesses(t, w.dir, processNames, stride, func(t *testing.T, dir string) command { return w.command(t, dir) }, w.check)
		})
	}
}

// check checks both stores after a kill, makes the same transfer again, which
// completes it, and checks again.
func (w *between) check(t *testing.T, dir string, r result) error {
	before, content := map[string]bool{}, ""
	for _, name := range []string{"from", "to"} {
		s, err := look(t, filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if before[name], err = w.models()[name].interrupted(s.withoutProbe()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		content += s.content
	}
	there := !before["to"] || w.again
	gone := !before["from"] && w.moves()
	switch {
	case gone && !there:
		return fmt.Errorf("%w: the run is in neither store", errViolated)
	case r.code == 0 && (!there || w.moves() && !gone):
		return fmt.Errorf("%w: success was reported; the run is in the target: %v, gone from the source: %v", errViolated, there, gone)
	}
	return settleOnce(w, content, func() error { return w.complete(t, dir, there, gone) })
}

// complete makes the transfer once more, and then the next change in both stores.
func (w *between) complete(t *testing.T, dir string, there, gone bool) error {
	age(t, filepath.Join(dir, "from"))
	age(t, filepath.Join(dir, "to"))
	err := transferHere(w.change, dir)
	switch {
	case gone && errors.Is(err, trackio.ErrNotFound): // there is nothing left to move
	case !w.moves() && there && errors.Is(err, trackio.ErrExists):
	case err != nil:
		return fmt.Errorf("%w: the same once more, with the run in the target: %v, gone from the source: %v: %w", errViolated, there, gone, err)
	}
	for name, m := range w.models() {
		part := filepath.Join(dir, name)
		if err := changeHere("next", part); err != nil {
			return fmt.Errorf("%s: the next change: %w", name, err)
		}
		s, err := look(t, part)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := m.recovered(s, false); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// withoutProbe is the state without the run that a move puts beside a copy which
// it has found, to tell two stores from one. The next try removes it.
func (s state) withoutProbe() state {
	const probe = "trackio-probe-"
	s.readers, s.python = maps.Clone(s.readers), maps.Clone(s.python)
	maps.DeleteFunc(s.readers, func(key, _ string) bool { return strings.Contains(key, probe) })
	for project, rows := range s.python {
		var kept []string
		for row := range strings.Lines(rows) {
			if !strings.Contains(row, probe) {
				kept = append(kept, row)
			}
		}
		s.python[project] = strings.Join(kept, "")
	}
	return s
}
