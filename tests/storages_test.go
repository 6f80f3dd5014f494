package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// place is one storage that the program is run on.
type place struct {
	name   string // as messages call it
	config string // the file that selects it
	env    []string
	open   func(context.Context) (trackio.Backend, error) // in this process, while the program does not run
}

// storages are what tests of what a person sees run on: each call makes a new,
// empty place.
var storages = []struct {
	name   string
	alone  bool // serves one process at a time
	served bool // by a server
	new    func(t *testing.T) place
}{
	{"sqlite", false, false, func(t *testing.T) place { return sqlitePlace(t, filepath.Join(t.TempDir(), "trackio")) }},
	{"s3 on the disk", true, false, func(t *testing.T) place {
		return bucketPlace(t, "file:///"+strings.TrimPrefix(filepath.ToSlash(t.TempDir()), "/"))
	}},
	{"s3 on versitygw", false, true, func(t *testing.T) place {
		return bucketPlace(t, servers.Start(t, servers.Versitygw).Bucket(t)+"&prefix=team/runs")
	}},
}

func sqlitePlace(t *testing.T, dir string) place {
	return newPlace(t, dir, fmt.Sprintf("backend \"sqlite\" \"local\" {\n  dir = %q\n}\n", dir), func(ctx context.Context) (trackio.Backend, error) {
		return opened(sqlite.Open(ctx, sqlite.Config{Dir: dir}))
	})
}

func bucketPlace(t *testing.T, url string) place {
	name, _, _ := strings.Cut(url, "?")
	if _, prefix, ok := strings.Cut(url, "prefix="); ok {
		name += "/" + prefix
	}
	return newPlace(t, name, fmt.Sprintf("backend \"s3\" \"team\" {\n  bucket = %q\n}\n", url), func(ctx context.Context) (trackio.Backend, error) {
		return opened(s3.Open(ctx, s3.Config{Bucket: url}))
	})
}

// opened keeps a nil pointer from becoming a backend.
func opened[B trackio.Backend](b B, err error) (trackio.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

func newPlace(t *testing.T, name, block string, open func(context.Context) (trackio.Backend, error)) place {
	t.Helper()
	p := place{name: name, config: filepath.Join(t.TempDir(), "config.hcl"), open: open}
	if err := os.WriteFile(p.config, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"TRACKIO_CONFIG=" + p.config}
	for _, variable := range os.Environ() { // how servers of the tests are reached
		if strings.HasPrefix(variable, "AWS_") {
			p.env = append(p.env, variable)
		}
	}
	return p
}

// run runs the program on the place.
func (p place) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return run(t, p.env, args...)
}

// use opens the place in this process.
func (p place) use(t *testing.T, use func(*trackio.Api) error) {
	t.Helper()
	b, err := p.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(use(trackio.New(b)), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// fill copies every run of another place into this one, as the core does it.
func (p place) fill(t *testing.T, from place) {
	t.Helper()
	from.use(t, func(source *trackio.Api) error {
		projects, err := source.Projects(t.Context())
		if err != nil {
			return err
		}
		p.use(t, func(target *trackio.Api) error {
			for _, project := range projects {
				runs, err := source.Runs(t.Context(), project)
				if err != nil {
					return err
				}
				for run := range runs.All() {
					if _, err := run.Copy(t.Context(), target, project, trackio.CopyOptions{}); err != nil {
						return fmt.Errorf("run %s of %s: %w", run.Name(), project, err)
					}
				}
			}
			return nil
		})
		return nil
	})
}

// TestBucketInUse: a bucket on the disk that another process has is a conflict,
// shown at the line that names it, and no mistake in the configuration.
func TestBucketInUse(t *testing.T) {
	for _, storage := range storages {
		if !storage.alone {
			continue
		}
		p := storage.new(t)
		p.use(t, func(*trackio.Api) error {
			out, errOut, code := p.run(t, "list", "projects", "--json")
			if code != 5 || out != "" {
				t.Errorf("exit code %d, stdout %q", code, out)
			}
			for _, words := range []string{p.name + " is in use by another process", "config.hcl line 2", "wait for the other"} {
				if !strings.Contains(errOut, words) {
					t.Errorf("stderr lacks %q:\n%s", words, errOut)
				}
			}
			out, errOut, code = p.run(t, "config", "check")
			if code != 0 || !strings.Contains(out, "valid  team (s3)") || !strings.Contains(errOut, "does not open now") {
				t.Errorf("config check: exit code %d\n%s%s", code, out, errOut)
			}
			return nil
		})
		if out, errOut, code := p.run(t, "list", "projects"); code != 0 {
			t.Errorf("afterwards: exit code %d\n%s%s", code, out, errOut)
		}
	}
}
