//go:build kill && linux

package kill

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// crashes are stores that a kill has left, one of each kind.
type crashes struct {
	dir   string // where they are kept
	mu    sync.Mutex
	kinds map[string]bool
	list  []crash
}

type crash struct {
	stage *stage
	dir   string
	point string
	state state
}

// keep keeps a copy of a store when there is something to settle in it and it is
// of a new kind. The kind is what recovery can see: rows, files, journals.
func (c *crashes) keep(t *testing.T, found crash) {
	t.Helper()
	if !found.state.unsettled() {
		return
	}
	kind := fmt.Sprint(found.stage.name, found.state)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kinds[kind] {
		return
	}
	if c.kinds == nil {
		c.kinds = map[string]bool{}
	}
	c.kinds[kind] = true
	kept := filepath.Join(c.dir, fmt.Sprint(len(c.list)))
	copyTree(t, found.dir, kept)
	found.dir = kept
	c.list = append(c.list, found)
}

// unsettled reports whether there is something of ours beside the store.
func (s state) unsettled() bool {
	for name := range s.files {
		if strings.HasPrefix(name, ".trackio-go/") {
			return true
		}
	}
	return false
}

// sweepRecovery kills, at every call, the process that settles what the first
// sweep has left; the next change settles it again.
func sweepRecovery(t *testing.T, left *crashes) {
	for _, c := range left.list {
		t.Run(c.stage.name+", "+c.point, func(t *testing.T) {
			c.sweep(t)
		})
		// A new project that has been seen stays, without a run.
		if _, old := c.stage.model.before.readers[c.stage.target]; old && c.inBoth() && c.stage.change == "move" {
			t.Run(c.stage.name+", "+c.point+", rows come in", func(t *testing.T) {
				c.grown(t).sweep(t)
			})
		}
	}
}

func (c crash) sweep(t *testing.T) {
	operations.Add(1)
	settle := func(dir string) command {
		age(t, dir)
		return change("settle", dir)
	}
	sweep(t, c.dir, settle, func(t *testing.T, p play) bool {
		p.model, p.quiet = &c.stage.model, true
		return p.run(t)
	})
}

// inBoth reports whether the move has committed in the target only.
func (c crash) inBoth() bool {
	m := &c.stage.model
	return m.source != "" && m.target != "" &&
		c.state.python[m.source] == m.before.python[m.source] && c.state.python[m.target] != m.before.python[m.target]
}

// grown is the crash with a row and a file that the training process has brought
// into the source since: the run belongs there again.
func (c crash) grown(t *testing.T) crash {
	t.Helper()
	grow := func(dir string) {
		s := builder{t, dir}
		db := s.database("p")
		s.exec(db, "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics, log_id) VALUES ('id-1', ?, 'run', 9, ?, 'late')",
			at(20), []byte(`{"img":`+s.file("p/run/9/late.png", "late")+`}`))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	st := &stage{scene: c.stage.scene, dir: filepath.Join(dir, "store")}
	copyTree(t, c.stage.dir, st.dir)
	grow(st.dir)
	st.model = model{source: c.stage.source, target: c.stage.target, returns: true, before: mustLook(t, st.dir), after: c.stage.model.after}
	undone := filepath.Join(dir, "undone")
	copyTree(t, st.dir, undone)
	mustChange(t, "next", undone)
	st.model.undone = mustLook(t, undone)

	crashed := crash{stage: st, dir: filepath.Join(dir, "crashed"), point: c.point}
	copyTree(t, c.dir, crashed.dir)
	grow(crashed.dir)
	crashed.state = mustLook(t, crashed.dir)
	// Until it is settled the run stands where the move has brought it.
	st.model.after.python = maps.Clone(st.model.after.python)
	st.model.after.python["p"] = crashed.state.python["p"]
	return crashed
}
