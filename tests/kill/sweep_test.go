//go:build kill && linux

package kill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// scene is a change in a store.
type scene struct {
	name    string
	change  string
	build   func(s builder) (open interface{ Close() error })
	target  string // "" when the run does not leave its project
	source  string // "" when it comes from elsewhere
	noLinks bool
	// recovery: the recovery of what this change leaves is swept as well.
	recovery bool
}

func scenes() []scene {
	withTarget := func(build func(builder) interface{ Close() error }) func(builder) interface{ Close() error } {
		return func(s builder) interface{ Close() error } {
			s.small(trackio.RunRef{Project: "q", ID: "id-9"}, "third")
			return build(s)
		}
	}
	subject := func(s builder) interface{ Close() error } { return s.subject() }
	named := func(s builder) interface{ Close() error } { return s.named() }
	likeNamed := func(s builder) interface{ Close() error } {
		s.small(trackio.RunRef{Project: "q", ID: "id-8"}, "run") // has a 0/a.png too
		return s.subject()
	}
	return []scene{
		{name: "move into a new project", change: "move", build: subject, source: "p", target: "q", recovery: true},
		{name: "move into a project", change: "move", build: withTarget(subject), source: "p", target: "q", recovery: true},
		{name: "move beside a run of its name", change: "move", build: likeNamed, source: "p", target: "q"},
		{name: "move out of a database without ids", change: "move-named", build: withTarget(named), source: "p", target: "q", recovery: true},
		{name: "move without hard links", change: "move", build: withTarget(subject), source: "p", target: "q", noLinks: true, recovery: true},
		{name: "delete", change: "delete", build: subject, source: "p", recovery: true},
		{name: "delete without ids", change: "delete-named", build: named, source: "p"},
		{name: "delete a project", change: "delete-project", build: subject, source: "p", recovery: true},
		{name: "import into a new project", change: "import", build: subject, target: "q", recovery: true},
		{name: "import beside a run of its name", change: "import", build: likeNamed, target: "q"},
		{name: "import without hard links", change: "import", build: withTarget(subject), target: "q", noLinks: true, recovery: true},
		{name: "copy into a new project", change: "copy", build: subject, target: "q", recovery: true},
		{name: "copy into a project", change: "copy", build: withTarget(subject), target: "q"},
		{name: "copy within a project", change: "copy-beside", build: subject, target: "p"},
		{name: "rename", change: "rename", build: subject, source: "p"},
		{name: "rename without ids", change: "rename-named", build: named, source: "p"},
	}
}

// stage is a scene that is ready to be played: its store, and what may become
// of it.
type stage struct {
	scene
	dir   string
	model model
}

func (s scene) prepare(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp(kept, "stage-") //nolint:usetesting // the recovery sweep comes back to it
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{scene: s, dir: filepath.Join(dir, "store")}
	made := filepath.Join(t.TempDir(), "made")
	b := builder{t, made}
	b.others()
	open := s.build(b)
	copyTree(t, made, st.dir)
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	st.model = s.newModel(t, st.dir)
	return st
}

// newModel makes the changes unharmed and looks.
func (s scene) newModel(t *testing.T, dir string) model {
	t.Helper()
	m := model{source: s.source, target: s.target, before: mustLook(t, dir)}
	after := filepath.Join(t.TempDir(), "after")
	copyTree(t, dir, after)
	c := change(s.change, after)
	c.noLinks = s.noLinks
	if r := trace(t, c, "", 0); r.code != 0 {
		t.Fatalf("unharmed: exit code %d\n%s", r.code, r.output)
	}
	m.after = mustLook(t, after)
	mustChange(t, "next", after)
	m.done = mustLook(t, after)
	undone := filepath.Join(t.TempDir(), "undone")
	copyTree(t, dir, undone)
	mustChange(t, "next", undone)
	m.undone = mustLook(t, undone)
	if difference(m.before.readers, m.after.readers) == "" {
		t.Fatal("the change changes nothing")
	}
	if orphans := m.done.orphans(); len(orphans) > 0 {
		t.Fatalf("unharmed, the change leaves %v", orphans)
	}
	return m
}

// orphans are files that no row refers to, directories without files, and
// everything in our own directory.
func (s state) orphans() (orphans []string) {
	used := map[string]bool{}
	for _, rows := range s.python {
		for _, m := range filePath.FindAllStringSubmatch(rows, -1) {
			used[m[1]] = true
		}
	}
	for name := range s.media {
		if !used[name] && !strings.HasSuffix(name, "/") {
			orphans = append(orphans, name)
		}
	}
	for name := range s.files {
		if strings.HasPrefix(name, ".trackio-go") {
			orphans = append(orphans, name)
		}
	}
	return orphans
}

func mustChange(t *testing.T, name, dir string) {
	t.Helper()
	if err := changeHere(name, dir); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// changeHere makes a change in this process.
func changeHere(name, dir string) error {
	b, err := sqlite.Open(context.Background(), sqlite.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	return makeChange(name, b)
}

// play is one run of a command that is killed on its way.
type play struct {
	*model
	command command
	dir     string // of the store, which the command changes
	call    string
	when    int
	// quiet: the command settles what there is, and may report success all the
	// same when the change is undone.
	quiet bool
	found func(state) // is called with what the kill has left
}

// run kills the command before its call of that number, checks the store, lets
// the next change settle it, and checks again. It reports whether the command
// was killed.
func (p play) run(t *testing.T) (killed bool) {
	r := trace(t, p.command, p.call, p.when)
	if r.killed > 0 {
		killPoints.Add(1)
	}
	if err := p.check(t, r); err != nil {
		violations.Add(1)
		t.Errorf("killed before %s %d: %v\n%s", p.call, p.when, err, r.output)
	}
	return r.killed > 0
}

func (p play) check(t *testing.T, r result) error {
	if r.killed == 0 && r.code != 0 {
		return fmt.Errorf("not killed, and yet exit code %d", r.code)
	}
	s, err := look(t, p.dir)
	if err != nil {
		return err
	}
	before, err := p.interrupted(s)
	if err != nil {
		return err
	}
	if r.code == 0 && before && !p.quiet {
		return fmt.Errorf("%w: success was reported, and nothing has happened", errViolated)
	}
	if p.found != nil {
		p.found(s)
	}
	return settleOnce(p.model, s.content, func() error {
		age(t, p.dir)
		if err := changeHere("next", p.dir); err != nil {
			return err
		}
		if s, err = look(t, p.dir); err != nil {
			return err
		}
		return p.recovered(s, before)
	})
}

// sweepChanges kills every change at every call.
func sweepChanges(t *testing.T, left *crashes) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			st := s.prepare(t)
			operations.Add(1)
			sweep(t, st.dir, st.command, func(t *testing.T, p play) bool {
				p.model = &st.model
				p.found = func(s state) {
					if st.recovery {
						left.keep(t, crash{stage: st, dir: p.dir, point: fmt.Sprintf("%s %d", p.call, p.when), state: s})
					}
				}
				return p.run(t)
			})
		})
	}
}

func (st *stage) command(dir string) command {
	c := change(st.change, dir)
	c.noLinks = st.noLinks
	return c
}

// sweep finds out which calls a command makes and kills it at each of each,
// every time in a new copy of the store, until it completes. It does so in
// parallel, in parts.
func sweep(t *testing.T, store string, at func(dir string) command, run func(t *testing.T, p play) (killed bool)) {
	t.Helper()
	counted := filepath.Join(t.TempDir(), "store")
	copyTree(t, store, counted)
	for call, n := range callsOf(t, at(counted)) {
		for first := 1; first <= n; first += part {
			last := min(first+part-1, n)
			t.Run(fmt.Sprintf("%s from %d", call, first), func(t *testing.T) {
				t.Parallel()
				for when := first; when <= last || last == n; when++ {
					dir := filepath.Join(t.TempDir(), "store")
					copyTree(t, store, dir)
					if !run(t, play{command: at(dir), dir: dir, call: call, when: when}) {
						return
					}
					_ = os.RemoveAll(dir)
				}
			})
		}
	}
}

// part is how many kill points are tried one after the other.
const part = 10
