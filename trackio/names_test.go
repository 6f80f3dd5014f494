package trackio_test

import (
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
