package rows

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestNames(t *testing.T) {
	for payload, want := range map[string]string{
		``:                          "",
		`{}`:                        "",
		`null`:                      "",
		`[{"a":1}]`:                 "",
		`"{\"a\":1}"`:               "",
		`{"a":1}`:                   "a",
		`{"a":1,"b":2,"a":3}`:       "a b",
		"{\n\"a\" :\t1 , \"b\":2 }": "a b",
		`{"a":{"b":1,"c":[{"d":1}]},"e":[1,{"f":2}],"g":"x,\"h\":1}"}`: "a e g",
		`{"a\"b":1,"c\\":2,"\u00e9":3,"é":4}`:                          `a"b c\ é`,
		`{"loss":NaN,"x":-Infinity,"y":1e5}`:                           "loss x y",
		`{"a":"\\","b":1}`:                                             "a b",
		`{"a":1`:                                                       "a",
		`{"a":"`:                                                       "a",
		`{"a`:                                                          "",
		`{"a\`:                                                         "",
		`{"a"}`:                                                        "",
		`{"a":[1,2}`:                                                   "a",
	} {
		var n names
		n.add([]byte(payload))
		got, cut := n.sorted()
		if strings.Join(got, " ") != want || cut {
			t.Errorf("the names of %s are %q, want %q", payload, got, want)
		}
	}
}

func TestNamesAreBound(t *testing.T) {
	payload := func(i, size int) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"%0*d":1}`, size, i))
	}
	for _, tt := range []struct{ size, most, rows int }{{8, maxNames, 2 * maxNames}, {100_000, maxNameBytes / 100_000, 30}} {
		w := NewWriter[trackio.SystemMetricsRow](io.Discard)
		for i := range tt.rows {
			if err := w.Write([]trackio.SystemMetricsRow{{Metrics: payload(i, tt.size)}}); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !sum.NamesCut || len(sum.Names) != tt.most {
			t.Errorf("of %d names of %d bytes, %d were kept, and cut is %t", tt.rows, tt.size, len(sum.Names), sum.NamesCut)
		}
	}
}

// FuzzNames compares with a decoder of JSON.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{`{"a":{"b":[1,"]}",{}]},"c\"":null}`, `{"\ud800":1,"x":""}`, `[1]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var n names
		n.add(payload)
		got, _ := n.sorted()
		var object map[string]json.RawMessage
		if !json.Valid(payload) || json.Unmarshal(payload, &object) != nil {
			return
		}
		if want := slices.Sorted(maps.Keys(object)); !slices.Equal(got, want) {
			t.Errorf("the names of %s are %q, want %q", payload, got, want)
		}
	})
}
