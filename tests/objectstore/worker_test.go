package objectstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/trackio"
)

// What a worker is told by its environment.
const (
	workerKey  = "TRACKIO_TEST_WORKER"  // its number
	bucketKey  = "TRACKIO_TEST_BUCKET"  // the URL
	journalKey = "TRACKIO_TEST_JOURNAL" // the file in which it says what it does
	untilKey   = "TRACKIO_TEST_UNTIL"   // when it ends, in Unix milliseconds
)

// The runs of a worker, and the projects between which they move.
const (
	runRows  = 40
	runFiles = 3
	runsKept = 6
)

var projects = [...]string{"alpha", "beta"}

// A step is what a worker does; it stands in the journal before and after.
type step struct {
	Op      string // import, move, rename, delete
	ID      string
	Project string // where the run is, or is put by an import
	To      string // the other project
	Name    string
	Ended   bool
	Err     string // "": done; else the kind of the error
	Unknown bool   // nobody can tell whether it was done
}

// model is what a worker knows of its own runs: nobody else changes them.
type model map[string]trackio.RunInfo

// apply lets the model follow a step that was done.
func (m model) apply(s step) {
	switch s.Op {
	case "import":
		m[s.ID] = trackio.RunInfo{RunRef: trackio.RunRef{Project: s.Project, ID: s.ID}, Name: s.Name}
	case "move":
		r := m[s.ID]
		r.Project = s.To
		m[s.ID] = r
	case "rename":
		r := m[s.ID]
		r.Name = s.Name
		m[s.ID] = r
	case "delete":
		delete(m, s.ID)
	}
}

// readJournal returns the model after a journal, and the step whose end is not
// known.
func readJournal(path string) (m model, open *step, count map[string]int, err error) {
	m, count = model{}, map[string]int{}
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil, count, nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, nil, nil, fmt.Errorf("journal: %w", err)
		}
		if !s.Ended || s.Unknown {
			open = &s
			continue
		}
		open = nil
		if s.Err == "" {
			m.apply(s)
			count[s.Op]++
		} else {
			count[s.Op+" refused: "+s.Err]++
		}
	}
	return m, open, count, err
}

// worker imports, moves, renames and deletes runs of its own, and looks at each
// of them as it should be.
type worker struct {
	number  int
	b       trackio.Backend
	journal *os.File
	runs    model
	next    int
}

func work() int {
	if err := runWorker(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runWorker() error {
	number, err := strconv.Atoi(os.Getenv(workerKey))
	if err != nil {
		return err
	}
	until, err := strconv.ParseInt(os.Getenv(untilKey), 10, 64)
	if err != nil {
		return err
	}
	ctx := context.Background()
	path := os.Getenv(journalKey)
	if number >= workers {
		return collectUntil(ctx, os.Getenv(bucketKey), path, time.UnixMilli(until))
	}
	b, err := s3.Open(ctx, s3.Config{Bucket: os.Getenv(bucketKey)})
	if err != nil {
		return err
	}
	runs, open, _, err := readJournal(path)
	if err != nil {
		return err
	}
	journal, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := &worker{number: number, b: b, journal: journal, runs: runs, next: int(time.Now().UnixMicro())}
	if open != nil {
		if err := w.settle(ctx, *open); err != nil {
			return fmt.Errorf("worker %d, after a kill in %+v: %w", number, *open, err)
		}
	}
	for i := 0; time.Now().UnixMilli() < until; i++ {
		if err := w.turn(ctx, i); err != nil {
			return fmt.Errorf("worker %d: %w", number, err)
		}
	}
	return b.Close()
}

// collectUntil collects, with no grace, again and again.
func collectUntil(ctx context.Context, bucket, path string, until time.Time) error {
	journal, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer journal.Close()
	for time.Now().Before(until) {
		if _, err := collectOnce(ctx, bucket); err != nil {
			return fmt.Errorf("collecting: %w", err)
		}
		if err := note(journal, step{Op: "collect", Ended: true}); err != nil {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
	}
	return nil
}

func (w *worker) note(s step) error { return note(w.journal, s) }

func note(journal *os.File, s step) error {
	line, err := json.Marshal(s)
	if err == nil {
		_, err = journal.Write(append(line, '\n'))
	}
	return err
}

// settle looks what has become of a step that a kill has interrupted, which must
// be all or nothing.
func (w *worker) settle(ctx context.Context, s step) error {
	// A request that was under way when its sender was killed may still arrive.
	time.Sleep(2 * time.Second)
	done := func() (bool, error) {
		before, after := w.runs[s.ID], s
		at := func(project string) (*trackio.RunInfo, error) {
			info, err := w.b.GetRun(ctx, trackio.RunRef{Project: project, ID: s.ID})
			if errors.Is(err, trackio.ErrNotFound) {
				return nil, nil
			}
			return &info, err
		}
		here, err := at(after.Project)
		if err != nil {
			return false, err
		}
		switch s.Op {
		case "import":
			return here != nil, nil
		case "delete":
			return here == nil, nil
		case "rename":
			if here == nil {
				return false, errors.New("the run is gone")
			}
			return here.Name == s.Name && before.Name != s.Name, nil
		}
		there, err := at(s.To)
		if err != nil {
			return false, err
		}
		if (here == nil) == (there == nil) {
			return false, errors.New("the run is in both projects, or in none")
		}
		return there != nil, nil
	}
	moved, err := done()
	if err != nil {
		return err
	}
	s.Ended, s.Unknown = true, false
	if !moved {
		s.Err = "killed"
	} else {
		w.runs.apply(s)
	}
	return w.note(s)
}

// turn does one thing, and looks at one.
func (w *worker) turn(ctx context.Context, i int) error {
	if err := w.do(ctx, w.choose(i)); err != nil {
		return err
	}
	return w.look(ctx)
}

func (w *worker) choose(i int) step {
	ids := make([]string, 0, len(w.runs))
	for id := range w.runs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if len(ids) < 2 || len(ids) < runsKept && rand.IntN(3) == 0 {
		id := fmt.Sprintf("w%02d-%d-%d", w.number, w.next, i)
		return step{Op: "import", ID: id, Project: projects[rand.IntN(2)], Name: "new"}
	}
	r := w.runs[ids[rand.IntN(len(ids))]]
	s := step{ID: r.ID, Project: r.Project}
	switch n := rand.IntN(10); {
	case n < 5:
		s.Op, s.To = "move", projects[0]
		if r.Project == projects[0] {
			s.To = projects[1]
		}
	case n < 8:
		s.Op, s.Name = "rename", fmt.Sprint("name ", i)
	default:
		s.Op = "delete"
	}
	return s
}

func (w *worker) do(ctx context.Context, s step) error {
	if err := w.note(s); err != nil {
		return err
	}
	ref := trackio.RunRef{Project: s.Project, ID: s.ID}
	var err error
	switch s.Op {
	case "import":
		_, err = w.b.ImportRun(ctx, ref, records(s.ID, s.Name, runRows, runFiles))
	case "move":
		_, err = w.b.(trackio.Mover).MoveRun(ctx, ref, s.To, trackio.MoveOptions{})
	case "rename":
		_, err = w.b.(trackio.Renamer).RenameRun(ctx, ref, s.Name, trackio.RenameOptions{})
	case "delete":
		err = w.b.DeleteRun(ctx, ref, trackio.DeleteOptions{})
	}
	s.Ended = true
	switch {
	case err == nil:
		w.runs.apply(s)
	case s.Op == "import" && errors.Is(err, trackio.ErrConflict):
		s.Err = "fenced" // a collection was faster, as it may
	default:
		return fmt.Errorf("%+v: %w", s, err)
	}
	return w.note(s)
}

// look reads the runs as they must be: nobody else changes those of this worker.
func (w *worker) look(ctx context.Context) error {
	if rand.IntN(4) == 0 {
		found := map[string]string{}
		for _, project := range projects {
			for info, err := range w.b.ListRuns(ctx, project, trackio.ListOptions{}) {
				if errors.Is(err, trackio.ErrNotFound) {
					break
				}
				if err != nil {
					return fmt.Errorf("listing %s: %w", project, err)
				}
				if known, ok := w.runs[info.ID]; ok {
					if found[info.ID] != "" || known.Project != project || known.Name != info.Name {
						return fmt.Errorf("run %s is listed in %s as %q, and in %q; it is in %s as %q", info.ID, project, info.Name, found[info.ID], known.Project, known.Name)
					}
					found[info.ID] = project
				}
			}
		}
		if len(found) != len(w.runs) {
			return fmt.Errorf("%d of %d runs are listed", len(found), len(w.runs))
		}
		return nil
	}
	for _, r := range w.runs {
		if err := whole(ctx, w.b, r.RunRef, runRows, runFiles); err != nil {
			return fmt.Errorf("reading run %s of %s: %w", r.ID, r.Project, err)
		}
		return nil
	}
	return nil
}
