//go:build kill && linux

package kill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/trackio"
)

// state is a Trackio directory, looked at from everywhere. Maps are compared.
type state struct {
	// readers is what our own readers find: each project, and each run with its
	// name, config and content digest.
	readers map[string]string
	// python is what SQLite finds: the rows of each database.
	python map[string]string
	// media are the files below media/, with their hash, and the directories.
	media map[string]string
	// files are the names of all other files, without those that SQLite and the
	// locks come with, and whether they are ours.
	files map[string]string
	// content is equal for stores of which everything says the same, to readers
	// and to what settles them.
	content string
}

// private directories are named after the operation, which is drawn at random.
var (
	privateDir = regexp.MustCompile(`run-[0-9a-f]{32}`)
	drawnID    = regexp.MustCompile(`\b[a-z2-7]{26}\b`)
	started    = regexp.MustCompile(`"started": *"[^"]*"`)
)

func settled(text string) string { return privateDir.ReplaceAllString(text, "run-private") }

// mustLook is look at a store that nothing has happened to.
func mustLook(t *testing.T, dir string) state {
	t.Helper()
	s, err := look(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// look reads a directory without changing it. What cannot be read is an error.
func look(t *testing.T, dir string) (s state, err error) {
	s = state{media: map[string]string{}, files: map[string]string{}}
	content := sha256.New()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return s.note(path, filepath.ToSlash(name), d.IsDir(), content)
	})
	if err != nil {
		return s, err
	}
	s.content = hex.EncodeToString(content.Sum(nil))
	seen, err := views.of(s.content, func() (view, error) { return newView(t, dir) })
	s.readers, s.python = seen.readers, seen.python
	return s, err
}

// view is what a store's databases say, to our readers and to SQLite.
type view struct{ readers, python map[string]string }

func newView(t *testing.T, dir string) (v view, err error) {
	if v.readers, err = readersView(dir); err != nil {
		return v, fmt.Errorf("our readers: %w", err)
	}
	if v.python, err = pythonView(t, dir); err != nil {
		return v, fmt.Errorf("SQLite: %w", err)
	}
	return v, nil
}

// views remembers what was seen in stores with the same content in every file that
// is read: most kills leave one that another has left before.
var views memory

type memory struct {
	mu   sync.Mutex
	seen map[string]view
}

func (m *memory) of(content string, look func() (view, error)) (view, error) {
	m.mu.Lock()
	v, ok := m.seen[content]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := look()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[string]view{}
	}
	m.seen[content] = v
	return v, nil
}

// settlings remembers the stores that were settled, and found to be right then:
// another with the same content need not be.
var settlings struct {
	mu   sync.Mutex
	seen map[string]bool
}

// settleOnce settles what a kill has left, unless it has been done for a store with
// the same content, of which the same is expected.
func settleOnce(expected any, content string, settle func() error) error {
	key := fmt.Sprintf("%p %s", expected, content)
	settlings.mu.Lock()
	done := settlings.seen[key]
	settlings.mu.Unlock()
	if done {
		return nil
	}
	if err := settle(); err != nil {
		return err
	}
	distinct.Add(1)
	settlings.mu.Lock()
	defer settlings.mu.Unlock()
	if settlings.seen == nil {
		settlings.seen = map[string]bool{}
	}
	settlings.seen[key] = true
	return nil
}

// note adds a file or a directory to what was seen, and what readers read of it
// to content.
func (s state) note(path, name string, isDir bool, content hash.Hash) error {
	media, below := strings.CutPrefix(name, "media/")
	own, ours := strings.CutPrefix(name, ".trackio-go/")
	if isDir {
		fmt.Fprintf(content, "%q\n", drawnID.ReplaceAllString(name, "OP"))
		if below && strings.Contains(media, "/") { // that of a project stays
			s.media[settled(media)+"/"] = ""
		}
		return nil
	}
	if strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".lock") && !strings.Contains(name, "/") {
		return nil
	}
	body := []byte("in staging")
	if !ours || strings.HasPrefix(own, "ops/") {
		var err error
		if body, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	switch {
	case strings.HasSuffix(name, ".db-wal"):
		body = nil // is looked at with its database
	case strings.HasSuffix(name, ".db"):
		wal, err := os.ReadFile(path + "-wal")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		body = databaseContent(body, wal)
	}
	if ours {
		body = started.ReplaceAll(drawnID.ReplaceAll(body, []byte("OP")), nil)
	}
	sum := sha256.Sum256(body)
	fmt.Fprintf(content, "%q %x\n", drawnID.ReplaceAllString(name, "OP"), sum)
	switch {
	case below:
		s.media[settled(media)] = hex.EncodeToString(sum[:8])
	case !strings.HasSuffix(name, "-wal"):
		s.files[drawnID.ReplaceAllString(name, "OP")] = ""
	}
	return nil
}

// readersView is what list, get and export say. A run that is listed twice is an
// error.
func readersView(dir string) (map[string]string, error) {
	ctx := context.Background()
	api, err := openAPI(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	projects, err := api.Projects(ctx)
	if err != nil {
		return nil, err
	}
	view := map[string]string{}
	for _, project := range projects {
		view[project] = "project"
		runs, err := api.Runs(ctx, project)
		if err != nil {
			return nil, err
		}
		for run := range runs.All() {
			key := project + "/" + run.ID()
			if _, twice := view[key]; twice {
				return nil, fmt.Errorf("%s is listed twice", key)
			}
			if view[key] = fmt.Sprintf("%q %s", run.Name(), run.CreatedAt()); bystanders[run.ID()] {
				continue // its rows and files are seen with SQLite
			}
			content, err := contentOf(ctx, run)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			view[key] += content
		}
	}
	return view, nil
}

func openAPI(ctx context.Context, dir string) (*trackio.Api, error) {
	b, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	return trackio.New(b), nil
}

// contentOf reads a run whole.
func contentOf(ctx context.Context, run *trackio.Run) (string, error) {
	config, err := run.RawConfig(ctx)
	if err != nil {
		return "", err
	}
	digest := trackio.NewDigest()
	for record, err := range run.Records(ctx, trackio.ExportOptions{}) {
		if err != nil {
			return "", err
		}
		if m, ok := record.(*trackio.Media); ok && !m.Missing {
			body, err := io.ReadAll(m.Body)
			if err != nil {
				return "", err
			}
			sum := sha256.Sum256(body)
			m.SHA256 = hex.EncodeToString(sum[:])
		}
		digest.Add(record)
	}
	return fmt.Sprintf(" %s %+v %s", config, digest.Counts, digest.Sum()), nil
}

// pythonView reads a copy of the databases with SQLite alone, and checks them.
// A database without rows is like none.
func pythonView(t *testing.T, dir string) (map[string]string, error) {
	copied := filepath.Join(t.TempDir(), "copy")
	copyDatabases(t, dir, copied)
	defer os.RemoveAll(copied)
	files, err := filepath.Glob(filepath.Join(copied, "*.db"))
	if err != nil {
		return nil, err
	}
	view := map[string]string{}
	for _, file := range files {
		rows, err := dump(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		if rows != "" {
			view[strings.TrimSuffix(filepath.Base(file), ".db")] = settled(rows)
		}
	}
	return view, nil
}

// dump returns every row of every table of runs and artifacts, in order, without
// the row ids that SQLite gives.
func dump(file string) (string, error) {
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return "", err
	}
	defer db.Close()
	var check string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		return "", fmt.Errorf("integrity check: %s %w", check, err)
	}
	tables, err := column(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	for _, table := range tables {
		columns, err := column(db, "SELECT name FROM pragma_table_info(?) WHERE name <> 'id' OR type = 'TEXT'", table)
		if err != nil {
			return "", err
		}
		for i, c := range columns {
			columns[i] = fmt.Sprintf(`typeof("%[1]s") || ' ' || coalesce(CAST("%[1]s" AS TEXT), '')`, c)
		}
		rows, err := column(db, fmt.Sprintf("SELECT %s FROM %s ORDER BY rowid", strings.Join(columns, " || ' | ' || "), table))
		if err != nil {
			return "", err
		}
		for _, row := range rows {
			fmt.Fprintf(&out, "%s: %s\n", table, row)
		}
	}
	return out.String(), nil
}

func column(db *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

var filePath = regexp.MustCompile(`"file_path":"([^"]*)"`)

// dangling are the references in the rows, as Python sees them, that have no
// file.
func (s state) dangling() map[string]string {
	lost := map[string]string{}
	for project, rows := range s.python {
		for _, m := range filePath.FindAllStringSubmatch(rows, -1) {
			if _, ok := s.media[m[1]]; !ok {
				lost[project+": "+m[1]] = ""
			}
		}
	}
	return lost
}
