package sqlite

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestSplitRef(t *testing.T) {
	hash := privateDir("whatever")
	tests := []struct {
		filePath, project, run string
		rel                    string // "" for a foreign one
	}{
		{"vision/resnet/0/x.png", "vision", "resnet", "0/x.png"},
		{"my.proj v2/r1/0/x.png", "myprojv2", "r1", "0/x.png"},
		{"vision/team/sweep 1/2/x.png", "vision", "team/sweep 1", "2/x.png"},
		{`vision\team\sweep 1\2\x.png`, "vision", "team/sweep 1", "2/x.png"},
		{"größe/größe-π/0/x", "größe", "größe-π", "0/x"},
		{"p/other/0/x.png", "p", "run", "0/x.png"}, // renamed since
		{"p/team/other/-3/x.png", "p", "run", "-3/x.png"},
		{"p/running/0/x.png", "p", "run", "0/x.png"},
		{"p/running/x.png", "p", "run", "running/x.png"},
		{"p/files/0/x.png", "p", "files", "0/x.png"},
		{"p/files/notes.txt", "p", "zoo", "files/notes.txt"},
		{"p/0/x.png", "p", "", "0/x.png"},
		{"p/a//b/./0/x", "p", "a//b", "0/x"},
		{"p/a/../b/0/x", "p", "b", "0/x"},
		{"p/" + hash + "/0/x", "p", "run", "0/x"},
		{"p/run", "p", "run", "run"},
		{"default/r/x", "default", "r", "x"},
		{"q/run/0/x.png", "p", "run", ""},
		{"p/../q/run/x", "p", "run", ""},
		{"../p/run/x", "p", "run", ""},
		{"p/../../p/run/x", "p", "run", ""},
		{"/p/run/x", "p", "run", ""},
		{`C:\p\run\x`, "Cp", "run", ""},
		{`\\host\p\x`, "host", "run", ""},
		{"p", "p", "run", ""},
		{"p/", "p", "run", ""},
		{"p/..", "p", "run", ""},
		{"", "p", "run", ""},
		{"p/run/a\x00b", "p", "run", ""},
		{"https://example.org/p/x.png", "p", "run", ""},
	}
	for _, test := range tests {
		rel, own := splitRef(test.filePath, test.project, test.run)
		if rel != test.rel || own != (test.rel != "") {
			t.Errorf("splitRef(%q, %q, %q) = %q, %t; want %q", test.filePath, test.project, test.run, rel, own, test.rel)
		}
	}
}

// Whatever the name of a run: its files stay below its project's directory, none
// lies among the project's own, and their paths come back.
func TestJoinRefIsSafe(t *testing.T) {
	names := map[string]bool{ // name: as Python Trackio would write it
		"resnet-50": true, "team/sweep 1": true, "größe-π": true, "a.b": true, "...": true, "a:b": true, "filesystem": true, "x/files": true,
		"": false, ".": false, "..": false, "../../x": false, "a/../b": false, "/abs": false, "a/": false, "a//b": false, "./a": false,
		"files": false, "Files": false, "files/x": false, "a\x00b": false, "a\nb": false, `a\b`: false, `..\..\x`: false, `C:/x`: false,
		"bad\xff": false, strings.Repeat("x", 300): false, strings.Repeat("x/", 2000) + "x": false, privateDir("x"): false,
	}
	seen := map[string]string{}
	for name, plain := range names {
		const rel = "0/x.png"
		got := joinRef(rel, "p", name)
		if plain != (got == "p/"+name+"/"+rel) {
			t.Errorf("joinRef for %q = %q", name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q share %q", name, other, got)
		}
		seen[got] = name
		if path.Clean(got) != got || !strings.HasPrefix(got, "p/") || strings.HasPrefix(got, "p/files/") {
			t.Errorf("joinRef for %q = %q", name, got)
		}
		for _, part := range strings.Split(got, "/") {
			if len(part) > 255 || part == ".." {
				t.Errorf("joinRef for %q has the part %q", name, part)
			}
		}
		for _, filePath := range []string{got, joinPrivate(rel, "p", "id", name)} {
			if back, own := splitRef(filePath, "p", name); back != rel || !own {
				t.Errorf("splitRef(%q) of %q = %q, %t", filePath, name, back, own)
			}
		}
	}
}

func TestRefMap(t *testing.T) {
	m := newRefMap("myproj", "run")
	steps := []struct{ filePath, want string }{
		{"myproj/run/0/x.png", "0/x.png"},
		{"my.proj/run/0/x.png", privateDir("my.proj/run/0/x.png") + "/0/x.png"}, // another file
		{`myproj\run\0\x.png`, "0/x.png"},                                       // the first again
		{"my.proj/run/0/x.png", privateDir("my.proj/run/0/x.png") + "/0/x.png"},
		{"myproj/run/0/a.png", "0/a.png"},
		{"other/run/0/x.png", "/other/run/0/x.png"},
	}
	for _, s := range steps {
		if got := m.add(s.filePath); got != s.want {
			t.Errorf("add(%q) = %q, want %q", s.filePath, got, s.want)
		}
	}
	mark := m.mark()
	m.add("myproj/run/9/z")
	m.undo(mark)
	var got []string
	for _, f := range m.files() {
		if err := trackio.CheckMediaPath(f.Rel); err != nil {
			t.Error(err)
		}
		got = append(got, f.Rel+" "+f.Path)
	}
	want := []string{
		"0/a.png myproj/run/0/a.png",
		"0/x.png myproj/run/0/x.png",
		privateDir("my.proj/run/0/x.png") + "/0/x.png my.proj/run/0/x.png",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestDefaultDir(t *testing.T) {
	tests := []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"TRACKIO_DIR": "rel/dir", "HF_HOME": "/hf", "HOME": "/h"}, "rel/dir"},
		{map[string]string{"HF_HOME": "/hf", "XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/hf/trackio"},
		{map[string]string{"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/huggingface/trackio"},
		{map[string]string{"HOME": "/h"}, "/h/.cache/huggingface/trackio"},
		{nil, ""},
	}
	for _, test := range tests {
		if got := defaultDir(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: %q, want %q", test.env, got, test.want)
		}
	}
}
