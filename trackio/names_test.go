package trackio_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

func TestCanonicalProject(t *testing.T) {
	for name, want := range map[string]string{
		"my_project":     "my_project",
		"my.model":       "mymodel",
		"my model":       "mymodel",
		"mymodel":        "mymodel",
		"my.proj v2":     "myprojv2",
		"A-b_C":          "A-b_C",
		"":               "default",
		" . / ":          "default",
		"../../etc":      "etc",
		"-":              "-",
		"日本語":            "日本語",
		"naïve":          "naïve",
		"e\u0301":        "e", // the accent is a mark, no letter: nothing is normalised
		"ʰº":             "ʰº",
		"٣ Ⅷ ½ ² 〇":      "٣Ⅷ½²〇", // digits, letter numbers and other numbers
		"😀":              "default",
		"a\x00b\nc":      "abc",
		"bad\xff\xfeend": "badend",
		"a\uFFFDb":       "ab",
		"a‿b":            "ab", // punctuation, though it connects
	} {
		got := trackio.CanonicalProject(name)
		if got != want {
			t.Errorf("CanonicalProject(%q) = %q, want %q", name, got, want)
		}
		if again := trackio.CanonicalProject(got); again != got {
			t.Errorf("CanonicalProject(%q) = %q: a canonical name changes", got, again)
		}
	}
}

func FuzzCanonicalProject(f *testing.F) {
	f.Add("my.model")
	f.Add("\xff/../日本")
	f.Fuzz(func(t *testing.T, name string) {
		got := trackio.CanonicalProject(name)
		if got == "" || !utf8.ValidString(got) || trackio.CanonicalProject(got) != got {
			t.Errorf("CanonicalProject(%q) = %q", name, got)
		}
		for _, r := range got {
			if r == '/' || r == '.' || r == '\\' || r == 0 {
				t.Errorf("CanonicalProject(%q) = %q, which holds %q", name, got, r)
			}
		}
	})
}

func TestCheckNewProject(t *testing.T) {
	for name, ok := range map[string]bool{
		"plain": true, "registry": true, "registryx": true, "my-registry-x": true, "system": true, "a_system_b": true,
		"configs": true, "default": true,
		"registry-": false, "registry-x": false, "a_system": false, "_system": false, "a_configs": false, "a_traces": false,
		"a_artifacts": false, "a_artifact_versions": false, "a_artifact_aliases": false, "a_run_artifact_links": false,
	} {
		err := trackio.CheckNewProject(name)
		if (err == nil) != ok {
			t.Errorf("CheckNewProject(%q) = %v, want it accepted: %t", name, err, ok)
		}
		if err != nil && (trackio.KindOf(err) != trackio.ErrInvalid || trackio.HintOf(err) == "") {
			t.Errorf("CheckNewProject(%q): kind %v, hint %q, want invalid and a hint", name, trackio.KindOf(err), trackio.HintOf(err))
		}
	}
}

func TestCheckNewRunName(t *testing.T) {
	long := strings.Repeat("n", 255)
	for name, says := range map[string]string{
		"plain": "", "dainty-sunset-0": "", "with space": "", "a/b": "", "a\\b": "", "a/files": "", "filesystem": "", "my files": "",
		"日本語": "", "...": "", "..a": "", "a..b": "", ".hidden": "", "100%": "", "'; DROP TABLE metrics; --": "",
		long: "", long + "/" + long: "",

		"":       "is empty",
		"\xff":   "is not UTF-8",
		"/a":     "begins with a slash",
		"\\a":    "begins with a slash",
		"/":      "begins with a slash",
		"a\nb":   "control character",
		"a\x00":  "control character",
		"\x7f":   "control character",
		"\u0085": "control character",
		".":      "has a part .",
		"..":     "has a part ..",
		"../x":   "has a part ..",
		"a/../b": "has a part ..",
		"a\\..":  "has a part ..",
		"a/.":    "has a part .",
		"a//..":  "has a part ..",
		"files":  "collides", "Files": "collides", "files/x": "collides", "FILES\\x": "collides",
		long + "n":        "longer than 255",
		"a/" + long + "é": "longer than 255",
	} {
		err := trackio.CheckNewRunName(name)
		switch {
		case says == "" && err != nil:
			t.Errorf("CheckNewRunName(%q) = %v, want it accepted", name, err)
		case says == "":
		case trackio.KindOf(err) != trackio.ErrInvalid || trackio.HintOf(err) == "" || !strings.Contains(err.Error(), says):
			t.Errorf("CheckNewRunName(%q) = %v, want invalid, a hint and %q", name, err, says)
		}
	}
}

// TestDeriveRunIDGolden holds derived ids in place: a move that an older version
// began is completed by this one. The values are those of sha256sum.
func TestDeriveRunIDGolden(t *testing.T) {
	const first = "2024-05-01T10:00:00+00:00"
	ids := map[string]string{}
	for _, c := range []struct{ project, name, first, want string }{
		{"mymodel", "dainty-sunset-0", first, "3592c64256f9735f2945cc872d4b425c"},
		{"日本語", "a/b", "", "0da7c868d55e5036beccc2becd416bd4"},
	} {
		got := trackio.DeriveRunID(c.project, c.name, c.first)
		if got != c.want {
			t.Errorf("DeriveRunID(%q, %q, %q) = %s, want %s", c.project, c.name, c.first, got, c.want)
		}
	}
	for _, c := range [][3]string{{"p", "n", first}, {"pn", "", first}, {"", "pn", first}, {"p", "n", ""}, {"p", "m", first}, {"q", "n", first}} {
		id := trackio.DeriveRunID(c[0], c[1], c[2])
		if before, ok := ids[id]; ok {
			t.Errorf("%q and %q get the same id", c, before)
		}
		ids[id] = c[0] + "/" + c[1]
	}
}
