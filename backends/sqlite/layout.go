package sqlite

import (
	"path/filepath"

	"github.com/trackio-go/trackio/trackio"
)

// layout says where things lie in a Trackio directory. A project name is made
// canonical on the way, so no name leads outside.
type layout struct{ dir string }

func (l layout) db(project string) string {
	return filepath.Join(l.dir, trackio.CanonicalProject(project)+".db")
}

func (l layout) lock(project string) string {
	return filepath.Join(l.dir, trackio.CanonicalProject(project)+".lock")
}

func (l layout) media() string { return filepath.Join(l.dir, "media") }
func (l layout) inbox() string { return filepath.Join(l.dir, "inbox") }

// ops and staging are this package's own; Python Trackio ignores them.
func (l layout) ops() string     { return filepath.Join(l.dir, ".trackio-go", "ops") }
func (l layout) staging() string { return filepath.Join(l.dir, ".trackio-go", "staging") }

// defaultDir returns the directory that Python Trackio uses: TRACKIO_DIR as it
// stands, else the directory trackio in Hugging Face's cache. It is "" when the
// environment names no home either.
func defaultDir(getenv func(string) string) string {
	if dir := getenv("TRACKIO_DIR"); dir != "" {
		return dir
	}
	if home := getenv("HF_HOME"); home != "" {
		return filepath.Join(home, "trackio")
	}
	cache := getenv("XDG_CACHE_HOME")
	if cache == "" {
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE")
		}
		if home == "" {
			return ""
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "huggingface", "trackio")
}
