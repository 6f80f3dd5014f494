package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindConfig(t *testing.T) {
	home := t.TempDir()
	for _, v := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(v, home)
	}
	t.Chdir(t.TempDir())
	write(t, "config.hcl", "") // in the current directory: never read
	write(t, "trackio/config.hcl", "")
	find := func(flag, variable string) string {
		t.Helper()
		path, err := FindConfig(flag, func(name string) string {
			if name == "TRACKIO_CONFIG" {
				return variable
			}
			return ""
		})
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got := find("", ""); got != "" {
		t.Errorf("without any file: %q", got)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	users := write(t, filepath.Join(dir, "trackio", "config.hcl"), "")
	if got := find("", ""); got != users {
		t.Errorf("the user's file: %q", got)
	}
	if got := find("", "/b.hcl"); got != "/b.hcl" {
		t.Errorf("TRACKIO_CONFIG: %q", got)
	}
	if got := find("/a.hcl", "/b.hcl"); got != "/a.hcl" {
		t.Errorf("--config: %q", got)
	}
}

func TestImplicitConfig(t *testing.T) {
	for _, path := range []string{"", write(t, filepath.Join(t.TempDir(), "empty.hcl"), "# nothing yet\n")} {
		cfg, err := LoadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cfg.Select("")
		if err != nil || b.Type != "sqlite" || b.Name != "local" || cfg.Default != "local" {
			t.Errorf("%q: %+v, %v", path, b, err)
		}
	}
}

func TestSelect(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) *Config {
		t.Helper()
		cfg, err := LoadConfig(write(t, filepath.Join(dir, "c.hcl"), text))
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	two := "backend \"a\" \"one\" {}\nbackend \"b\" \"two\" {}\n"
	cfg := load("default = \"two\"\n" + two)
	for name, want := range map[string]string{"": "b", "one": "a", "two": "b"} {
		if b, err := cfg.Select(name); err != nil || b.Type != want {
			t.Errorf("%q: %v, %v", name, b, err)
		}
	}
	if _, err := cfg.Select("three"); !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(trackio.HintOf(err), "one, two") {
		t.Errorf("unknown: %v, %q", err, trackio.HintOf(err))
	}
	if _, err := load(two).Select(""); !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(trackio.HintOf(err), "one, two") {
		t.Errorf("no default: %v", err)
	}
	if cfg := load(`backend "a" "one" {}`); cfg.Default != "one" || cfg.Blocks[0].Range() != "c.hcl:1" {
		t.Errorf("the only one: %+v", cfg)
	}
}

func TestMistakesInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	for name, test := range map[string]struct {
		text  string
		words []string
	}{
		"syntax":            {"backend \"a\" \"b\" {\n  x = \n}\n", []string{"c.hcl line 2", "x ="}},
		"unknown attribute": {"\ndefalt = \"a\"\n", []string{"c.hcl line 2", "defalt"}},
		"one label":         {"backend \"a\" {}\n", []string{"c.hcl line 1", `backend "a" {}`}},
		"bad type":          {"backend \"../a\" \"b\" {}\n", []string{"c.hcl line 1", "../a"}},
		"no name":           {"backend \"a\" \"\" {}\n", []string{"c.hcl line 1"}},
		"two of one name":   {"backend \"a\" \"n\" {}\nbackend \"b\" \"n\" {}\n", []string{"c.hcl line 2", "c.hcl:1", `backend "b" "n"`}},
		"unknown default":   {"default = \"z\"\nbackend \"a\" \"n\" {}\n", []string{"c.hcl line 1", "default = \"z\"", ": n."}},
		"default no string": {"default = [1]\nbackend \"a\" \"n\" {}\n", []string{"c.hcl line 1", "default must be a string"}},
	} {
		_, err := LoadConfig(write(t, path, test.text))
		if !errors.Is(err, trackio.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, words := range test.words {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q is not in:\n%v", name, words, err)
			}
		}
	}
	if _, err := LoadConfig(filepath.Join(t.TempDir(), "none.hcl")); !errors.Is(err, trackio.ErrInvalid) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Mistakes in a block are found when it is opened, by the host or the backend.
func TestMistakesInABlock(t *testing.T) {
	t.Setenv("TEST_DEEP", "")
	for name, test := range map[string]struct {
		body  string
		kind  error
		words []string
	}{
		"unknown attribute":   {`dirr = "x"`, trackio.ErrInvalid, []string{"line 2", "dirr", `Did you mean "dir"`}},
		"wrong type":          {`count = "many"`, trackio.ErrInvalid, []string{"line 2", `count = "many"`, "count must be a number"}},
		"fraction":            {`count = 1.5`, trackio.ErrInvalid, []string{"line 2", "without a fraction"}},
		"no duration":         {`wait = "soon"`, trackio.ErrInvalid, []string{"line 2", "1m30s"}},
		"not a list":          {`tags = {a = 1}`, trackio.ErrInvalid, []string{"line 2", "a list of strings"}},
		"missing attribute":   {"auth {\n}", trackio.ErrInvalid, []string{"line 2", "user is required"}},
		"two blocks":          {"auth {\n user=\"a\"\n}\nauth {\n user=\"b\"\n}", trackio.ErrInvalid, []string{"line 5", "Only one block auth"}},
		"unset variable":      {`token = env("TEST_NOT_SET")`, trackio.ErrInvalid, []string{"line 2", "TEST_NOT_SET is not set"}},
		"unknown function":    {`token = file("x")`, trackio.ErrInvalid, []string{"line 2", "file"}},
		"every variable":      {`env = ["HOME", "*"]`, trackio.ErrInvalid, []string{"line 2", "names of environment variables"}},
		"another's home":      {`dir = "~root/x"`, trackio.ErrInvalid, []string{"line 2", "./~root/x"}},
		"unknown capability":  {`disable = ["fly"]`, trackio.ErrInvalid, []string{"line 2", "move, rename"}},
		"no such plugin":      {`plugin = "./none"`, trackio.ErrInvalid, []string{"line 2", "none is not a file"}},
		"pin without plugin":  {`sha256 = "` + strings.Repeat("0", 64) + `"`, trackio.ErrInvalid, []string{"line 2", "needs plugin"}},
		"bad pin":             {"plugin = \"x\"\nsha256 = \"12\"", trackio.ErrInvalid, []string{"line 3", "64 hexadecimal"}},
		"found by backend":    {"dir = \"/x\"\ntrouble = \"bad dir\"", trackio.ErrPermission, []string{"line 2", `dir = "/x"`, "/x cannot be read", "chmod it"}},
		"in a nested block":   {"trouble = \"bad mirror\"\nmirror {\n user = \"a\"\n}\nmirror {\n user = \"zz\"\n}", trackio.ErrInvalid, []string{"line 7", `"zz"`, "nobody of that name"}},
		"failure of no value": {`trouble = "no network"`, trackio.ErrUnavailable, []string{"cannot reach the storage"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, test.body)
			_, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
			if !errors.Is(err, test.kind) {
				t.Fatalf("got %v", err)
			}
			for _, words := range test.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q is not in:\n%v", words, err)
				}
			}
		})
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	for name, body := range map[string]string{
		"found by the host":    "token = [\"hunter2\"]",
		"found by the backend": "token = \"hunter2\"\ntrouble = \"bad token\"",
		"quoted by backend":    "token = \"hunter2\"\ntrouble = \"quotes token\"",
		"under a wrong name":   "tokne = \"hunter2\"",
		"on the same line":     "auth {\n  user = \"x\"\n}\ntoken = \"hunter2\" + 1",
	} {
		cfg := config(t, body)
		_, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
		if !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(err.Error(), "tok") && name != "quoted by backend" || strings.Contains(err.Error()+trackio.HintOf(err), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMistakeThatComesFromAVariable(t *testing.T) {
	t.Setenv("TEST_DEEP", "perhaps")
	cfg := config(t, "")
	_, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if !errors.Is(err, trackio.ErrInvalid) || !strings.Contains(err.Error(), `"perhaps" comes from the environment variable TEST_DEEP`) {
		t.Errorf("a value of the wrong type: %v", err)
	}
	t.Setenv("TEST_DEEP", "")
	t.Setenv("TEST_DIR", "/somewhere")
	cfg = config(t, `trouble = "bad dir"`)
	_, err = testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if !errors.Is(err, trackio.ErrPermission) || !strings.Contains(err.Error(), "comes from the environment variable TEST_DIR") {
		t.Errorf("a value that the backend refuses: %v", err)
	}
}

func TestSettingsAndTheirSources(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("USERPROFILE", "/home/me")
	t.Setenv("TEST_TOKEN", "secret")
	t.Setenv("TEST_DEEP", "true")
	cfg := config(t, "tags = [\"a\", \"b\"]\nlabels = {k = \"v\"}\nmirror {\n user = \"u\"\n}")
	c, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	want := []Setting{
		{"dir", filepath.FromSlash("/home/me/runs"), "default", false},
		{"trouble", "none", "default", false},
		{"token", masked, "environment variable TEST_TOKEN", true},
		{"count", "3", "default", false},
		{"ratio", "", "", false},
		{"deep", "true", "environment variable TEST_DEEP", false},
		{"tags", `["a","b"]`, "config.hcl:2", false},
		{"labels", `{"k":"v"}`, "config.hcl:3", false},
		{"wait", "1m30s", "default", false},
		{"mirror.0.user", "u", "config.hcl:5", false},
	}
	if got := c.Settings(); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	checked, err := testHost().Check(t.Context(), cfg, cfg.Blocks[0])
	if err != nil || len(checked) != len(want) || checked[2].Value != masked {
		t.Errorf("Check: %+v, %v", checked, err)
	}
}

func TestTheBackendGetsItsConfig(t *testing.T) {
	t.Setenv("TEST_TOKEN", "from the variable")
	cfg := config(t, `trouble = "tell config"
dir     = "sub/folder"
token   = "from the file"
count   = 9007199254740993
ratio   = 0.5
deep    = true
tags    = ["a"]
labels  = {k = "v"}
wait    = "2s"
auth {
  user = "me"
}
mirror {
  user = "m1"
}`)
	c, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	got, err := projects(t.Context(), c)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	for _, want := range []string{
		"Dir:" + filepath.Join(filepath.Dir(cfg.Path), "sub", "folder"), "Token:from the file", "Count:9007199254740993", "Ratio:0.5",
		"Deep:true", "Tags:[a]", "Labels:map[k:v]", "Wait:2s", "Mirrors:[{User:m1}]",
	} {
		if !strings.Contains(got[0], want) {
			t.Errorf("%s is not in %s", want, got[0])
		}
	}
}

func TestPathsAreExpanded(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("USERPROFILE", "/home/me")
	cfg := &Config{Path: filepath.FromSlash("/etc/trackio/config.hcl")}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		file bool
		want string
	}{
		{"~", true, "/home/me"}, {"~/x", false, "/home/me/x"}, {"./~other", true, "/etc/trackio/~other"}, {"x/../y", true, "/etc/trackio/y"},
		{"x", false, filepath.Join(wd, "x")}, {"/a", true, "/a"}, {"s3://b/c?d", true, "s3://b/c?d"}, {"", true, ""},
	} {
		if got, err := cfg.expand(test.path, test.file); err != nil || got != filepath.FromSlash(test.want) && got != test.want {
			t.Errorf("%q became %q, %v, want %q", test.path, got, err, test.want)
		}
	}
	if got, err := cfg.expand("~other/x", true); err == nil || !strings.Contains(err.Error(), "./~other/x") {
		t.Errorf("the home of somebody else became %q, %v", got, err)
	}
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	if got, err := cfg.expand("~/x", true); err == nil {
		t.Errorf("without a home directory ~/x became %q", got)
	}
}
