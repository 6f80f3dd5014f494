package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestRewriteRefs(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", `{"a":{"_type":"trackio.image","file_path":"p/r/x.png"}}`, `{"a":{"_type":"trackio.image","file_path":"NEW p/r/x.png"}}`},
		{"order of keys", `{"file_path":"x","_type":"trackio.video"}`, `{"file_path":"NEW x","_type":"trackio.video"}`},
		{"white space and numbers stay", " { \"n\" : 1.0e+2 , \"i\":[ {\"_type\" :\"trackio.image\",\t\"file_path\": \"x\"} , 9007199254740993 ] }\n",
			" { \"n\" : 1.0e+2 , \"i\":[ {\"_type\" :\"trackio.image\",\t\"file_path\": \"NEW x\"} , 9007199254740993 ] }\n"},
		{"nested in a table", `{"t":{"_type":"trackio.table","_value":[{"c":{"_type":"trackio.image","file_path":"x"}},{"c":{"_type":"trackio.image","file_path":"y"}}]}}`,
			`{"t":{"_type":"trackio.table","_value":[{"c":{"_type":"trackio.image","file_path":"NEW x"}},{"c":{"_type":"trackio.image","file_path":"NEW y"}}]}}`},
		{"one within another", `{"file_path":"out","in":{"_type":"trackio.image","file_path":"in"},"_type":"trackio.html"}`,
			`{"file_path":"NEW out","in":{"_type":"trackio.image","file_path":"NEW in"},"_type":"trackio.html"}`},
		{"at the top of an array", `[{"_type":"trackio.image","file_path":"x"}]`, `[{"_type":"trackio.image","file_path":"NEW x"}]`},
		{"escaped slashes", `{"_type":"trackio.image","file_path":"p\/r\/x"}`, `{"_type":"trackio.image","file_path":"NEW p/r/x"}`},
		{"escaped letters", `{"_type":"trackio.image","file_path":"gr\u00f6\u00DFe \ud83d\ude00"}`, `{"_type":"trackio.image","file_path":"NEW größe 😀"}`},
		{"escaped keys", `{"\u005ftype":"track\u0069o.image","\u0066ile_path":"x","file_path2":1}`, `{"\u005ftype":"track\u0069o.image","\u0066ile_path":"NEW x","file_path2":1}`},
		{"must be escaped again", `{"_type":"trackio.image","file_path":"a\"b\\c\n\u0001\u007f"}`, `{"_type":"trackio.image","file_path":"NEW a\"b\\c\n\u0001` + "\x7f" + `"}`},
		{"the last of repeated keys counts", `{"_type":"x","_type":"trackio.image","file_path":"1","file_path":"2"}`, `{"_type":"x","_type":"trackio.image","file_path":"1","file_path":"NEW 2"}`},
		{"last type is another", `{"_type":"trackio.image","file_path":"1","_type":"x"}`, ""},
		{"last path is no string", `{"_type":"trackio.image","file_path":"1","file_path":2}`, ""},
		{"other type", `{"_type":"wandb.image","file_path":"x"}`, ""},
		{"no type", `{"file_path":"x"}`, ""},
		{"type is no string", `{"_type":["trackio."],"file_path":"x"}`, ""},
		{"key of another object", `{"_type":"trackio.table","v":{"file_path":"x"}}`, ""},
		{"in a text", `{"note":"{\"_type\":\"trackio.image\",\"file_path\":\"x\"}"}`, ""},
		{"half a surrogate pair", `{"_type":"trackio.image","file_path":"\ud800x"}`, ""},
		{"no references", `{"a":[1,2,{"b":null}]}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var found []string
			if err := findRefs([]byte(test.in), func(path string) { found = append(found, path) }); err != nil {
				t.Fatal(err)
			}
			var seen []string
			got, changed, err := rewriteRefs([]byte(test.in), func(path string) string {
				seen = append(seen, path)
				return "NEW " + path
			})
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = test.in
			}
			if string(got) != want || changed != (test.want != "") {
				t.Errorf("got %s, %t\nwant %s", got, changed, want)
			}
			if !slices.Equal(found, seen) || (len(found) > 0) != changed {
				t.Errorf("found %q, rewrote %q", found, seen)
			}
			same, changed, err := rewriteRefs([]byte(test.in), func(path string) string { return path })
			if string(same) != test.in || changed || err != nil {
				t.Errorf("unchanged: %s, %t, %v", same, changed, err)
			}
		})
	}
}

func TestRefsInWhatIsNotJSON(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+2) + `"file_path"` + strings.Repeat("]", maxDepth+2)
	for _, in := range []string{
		``, `{`, `{"file_path"`, `{"file_path":}`, `{"file_path":"x"`, `{"file_path":"x"}}`, `{"file_path":"x",}`, `["file_path",]`,
		`{"file_path":NaN}`, `{"file_path":01}`, `{"file_path":1.}`, `{"file_path":"\x"}`, `{"file_path":"\u12g4"}`, "{\"file_path\":\"\n\"}",
		`{"file_path" "x"}`, `{file_path:1}`, `"file_path" 1`, `{"a":tru}`, `{"file_path":tru}`, `not json`, deep,
	} {
		_, _, err := rewriteRefs([]byte(in), func(path string) string { return path + "x" })
		if !errors.Is(err, trackio.ErrDataLoss) {
			t.Errorf("%.40q: %v", in, err)
		}
	}
}

func FuzzRewriteRefs(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"_type":"trackio.image","file_path":"p\/r\u00e9/x.png"},"b":[1,-2.5e3,true,null,"\ud83d\ude00"]}`,
		`{"file_path":"x","_type":"trackio.\u0061","file_path":"\\\""}`, `["file_path"]`, `{"file_path":NaN}`, "\"file_path\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		identical, changed, err := rewriteRefs(payload, func(path string) string { return path })
		if valid := json.Valid(payload); valid != (err == nil) {
			t.Fatalf("valid %t, error %v", valid, err)
		}
		if err != nil {
			return
		}
		if changed || !bytes.Equal(identical, payload) {
			t.Fatalf("changed without a change: %q", identical)
		}
		// There and back again: references are the same, the rest byte for byte.
		var before, after []string
		there, _, err := rewriteRefs(payload, func(path string) string {
			before = append(before, path)
			return "run/\"\\\x01" + path
		})
		if err != nil || !json.Valid(there) {
			t.Fatalf("rewritten %q: %v", there, err)
		}
		back, _, err := rewriteRefs(there, func(path string) string { return strings.TrimPrefix(path, "run/\"\\\x01") })
		if err != nil {
			t.Fatal(err)
		}
		if err := findRefs(back, func(path string) { after = append(after, path) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, after) {
			t.Fatalf("references %q became %q", before, after)
		}
		var x, y any
		if json.Unmarshal(payload, &x) == nil && json.Unmarshal(back, &y) == nil {
			a, _ := json.Marshal(x)
			b, _ := json.Marshal(y)
			if !bytes.Equal(a, b) {
				t.Fatalf("content changed: %s to %s", a, b)
			}
		}
	})
}

func TestEachKey(t *testing.T) {
	var keys []string
	if !eachKey([]byte(` {"a":{"b":1},"c\u0064":[{"e":2}],"a":"}"} `), func(tok []byte) { keys = append(keys, string(tok)) }) {
		t.Error("not read")
	}
	if want := []string{`"a"`, `"c\u0064"`, `"a"`}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	for _, bad := range []string{`[]`, `1`, ``, `{"a":1`, `{} {}`} {
		if eachKey([]byte(bad), func([]byte) {}) {
			t.Errorf("%q was read as an object", bad)
		}
	}
}
