//go:build !windows

package plugin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// script writes a program.
func script(t *testing.T, path, body string) string {
	t.Helper()
	write(t, path, "#!/bin/sh\n"+body+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramsAreFoundInOrder(t *testing.T) {
	home, listed, onPath := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv(pluginPathKey, "relative:"+listed)
	t.Setenv("PATH", ".:"+onPath+":")
	t.Chdir(t.TempDir())
	find := func() string {
		t.Helper()
		p, err := findProgram("x")
		if err != nil {
			return ""
		}
		return p.path
	}
	script(t, "trackio-backend-x", "") // in the current directory: never found
	script(t, "relative/trackio-backend-x", "")
	write(t, filepath.Join(onPath, "trackio-backend-x"), "not executable")
	if got := find(); got != "" {
		t.Errorf("found %s", got)
	}
	for _, dir := range []string{onPath, userPluginDir(), listed} { // each beats the one before
		want := script(t, filepath.Join(dir, "trackio-backend-x"), "")
		if got := find(); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}

func TestUnknownTypeSaysWhatThereIs(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "c.hcl"), "\nbackend \"nope\" \"n\" {}\n")
	cfg, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	for _, words := range []string{"c.hcl line 2", "trackio-backend-nope", "Built in: test"} {
		if !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q is not in: %v", words, err)
		}
	}
	if _, err = (&Host{}).Open(t.Context(), &Config{}, &Block{Type: "nope", Name: "n"}); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("without a file: %v", err)
	}
}

// A program on PATH does not take the place of a built-in; one that the block
// names does.
func TestBuiltinsAreNotShadowed(t *testing.T) {
	dir := t.TempDir()
	fake := script(t, filepath.Join(dir, "trackio-backend-test"), "echo taken over >&2; exit 9")
	t.Setenv(pluginPathKey, dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if _, err := projects(t.Context(), open(t, "")); err != nil {
		t.Errorf("the built-in: %v", err)
	}
	cfg := config(t, `plugin = "`+fake+`"`)
	_, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if !errors.Is(err, trackio.ErrBackendDied) || !strings.Contains(err.Error(), "exit status 9") || !strings.Contains(err.Error(), "taken over") {
		t.Errorf("the named program: %v", err)
	}
}

func TestThirdPartyPrograms(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "trackio-backend-test")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(pluginPathKey, dir)
	sum := sha256.Sum256(read(t, self))
	pin := "\nsha256 = \"" + hex.EncodeToString(sum[:]) + "\""
	for name, test := range map[string]struct {
		host Host
		body string
	}{
		"found":        {Host{}, ""},
		"named":        {*testHost(), `plugin = "` + self + `"`},
		"without mtls": {*testHost(), "mtls = false\nplugin = \"" + self + "\""},
		"pinned":       {*testHost(), `plugin = "` + self + `"` + pin},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, test.body)
			c, err := test.host.Open(t.Context(), cfg, cfg.Blocks[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := projects(t.Context(), c); err != nil {
				t.Error(err)
			}
			left, err := os.ReadDir(c.dir)
			if err != nil || len(left) != 1 {
				t.Errorf("beside the socket there is %v, %v", left, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	cfg := config(t, `plugin = "`+self+`"`+"\nsha256 = \""+strings.Repeat("0", 64)+`"`)
	if _, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0]); !errors.Is(err, trackio.ErrPermission) || !strings.Contains(err.Error(), hex.EncodeToString(sum[:])) {
		t.Errorf("a program that is not the pinned one: %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestProgramsThatAreNoBackends(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		body  string
		kind  error
		words string
	}{
		"ends at once":     {"echo no database >&2; exit 3", trackio.ErrBackendDied, "no database"},
		"noisy stdout":     {"echo hello; exec sleep 100", trackio.ErrUnavailable, "hello"},
		"endless stdout":   {"exec tr '\\0' x < /dev/zero", trackio.ErrUnavailable, "xxxx"},
		"another protocol": {"echo '1|99|unix|/nowhere|grpc'; exec sleep 100", trackio.ErrUnavailable, "99"},
		"another rpc":      {"echo '1|1|unix|/nowhere|netrpc'; exec sleep 100", trackio.ErrUnavailable, "netrpc"},
		"no socket":        {"echo '1|1|unix|/nowhere|grpc'; exec sleep 100", trackio.ErrUnavailable, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			file := script(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), test.body)
			cfg := config(t, "mtls = false\nplugin = \""+file+`"`)
			begin := time.Now()
			_, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.words) || !strings.Contains(err.Error(), file) || time.Since(begin) > 3*time.Second {
				t.Errorf("after %v: %v", time.Since(begin), err)
			}
		})
	}
	t.Run("not executable", func(t *testing.T) {
		cfg := config(t, `plugin = "`+write(t, filepath.Join(dir, "plain"), "#!/bin/sh\n")+`"`)
		if _, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0]); !errors.Is(err, trackio.ErrPermission) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("says nothing", func(t *testing.T) {
		file := script(t, filepath.Join(dir, "silent"), "exec sleep 100")
		cfg := config(t, `plugin = "`+file+`"`)
		ctx, cancel := contextWithTimeout(t, 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if _, err := testHost().Open(ctx, cfg, cfg.Blocks[0]); !errors.Is(err, ctx.Err()) || time.Since(begin) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

// The block and the program must mean the same kind of backend.
func TestProgramOfAnotherType(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(write(t, filepath.Join(t.TempDir(), "c.hcl"), "backend \"other\" \"n\" {\n plugin = \""+self+"\"\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0]); !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(err.Error(), "of the type test, not other") {
		t.Errorf("got %v", err)
	}
}

func TestLongTemporaryFolder(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	t.Setenv("XDG_RUNTIME_DIR", long)
	if _, err := projects(t.Context(), open(t, "")); err != nil {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		args  []string
		words []string
	}{
		{[]string{"p"}, []string{"trackio-backend-test 1.2.3 is a backend of trackio: runs in memory", `backend "test" "mine" {`, "# dir = \"~/runs\"  # a folder", `# token = env("TEST_TOKEN")`, "auth {\n    user = \"\"", "plugin = "}},
		{[]string{"p", "--version"}, []string{"trackio-backend-test 1.2.3, protocol trackio.backend.v1\n"}},
		{[]string{"p", "--describe"}, []string{"CAPABILITY_MOVE", "ATTRIBUTE_TYPE_DURATION", "TEST_SECRET_*"}},
	} {
		var out bytes.Buffer
		if err := explain(testBackend(), test.args, &out); err != nil {
			t.Error(err)
		}
		for _, words := range test.words {
			if !strings.Contains(out.String(), words) {
				t.Errorf("%v: %q is not in:\n%s", test.args, words, out.String())
			}
		}
	}
	if err := explain(testBackend(), []string{"p", "--what"}, &bytes.Buffer{}); err == nil {
		t.Error("an unknown argument was taken")
	}
}
