package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const fixtures = "../../shared/fixtures"

// TestGolden: what Python's own command line prints over the directories that
// Python Trackio wrote stands in ours: the same fields in the same order with
// the same values, number tokens included. Ours may have more fields, and a
// value where Python has null. It does so on that directory, and on every other
// storage that its runs were copied to. Without the fixtures, session.txtar
// compares whole outputs on a storage of this project's own.
func TestGolden(t *testing.T) {
	for fixture, commands := range map[string]int{"trackio-0.36.0": 62, "trackio-0.36.0-zoo": 11} {
		source := filepath.Join(fixtures, fixture)
		text, err := os.ReadFile(filepath.Join(source, "cli.json"))
		if errors.Is(err, fs.ErrNotExist) && os.Getenv("TRACKIO_REQUIRE_FIXTURES") == "" {
			t.Logf("%s is not there", source)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var cases []golden
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatal(err)
		}
		if len(cases) != commands {
			t.Errorf("%d commands, want %d", len(cases), commands)
		}
		dir := filepath.Join(t.TempDir(), "trackio")
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		written := sqlitePlace(t, dir)
		t.Run(fixture, func(t *testing.T) { compareGolden(t, written, cases) })
		for _, storage := range storages {
			t.Run(fixture+" in "+storage.name, func(t *testing.T) {
				p := storage.new(t)
				p.fill(t, written)
				compareGolden(t, p, cases)
			})
		}
	}
}

// golden is a command line and what Python prints for it.
type golden struct {
	Args   []string        `json:"args"`
	Output json.RawMessage `json:"output"`
}

func compareGolden(t *testing.T, p place, cases []golden) {
	for _, c := range cases {
		out, errOut, code := p.run(t, c.Args...)
		if code != 0 {
			t.Errorf("trackio %q: exit code %d\n%s", c.Args, code, errOut)
			continue
		}
		if err := stands(c.Output, []byte(out)); err != nil {
			t.Errorf("trackio %q: %v\ngot  %s\nwant %s", c.Args, err, out, c.Output)
		}
	}
}

// stands reports where an output lacks something of the wanted one.
func stands(want, got []byte) error {
	wanted, err := parse(want)
	if err != nil {
		return err
	}
	has, err := parse(got)
	if err != nil {
		return err
	}
	return wanted.standsIn(has, "")
}

// node is a JSON value whose fields keep their order.
type node struct {
	scalar any // of a value that is no object and no list
	keys   []string
	fields map[string]node
	list   []node
	isList bool
}

func parse(text []byte) (node, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	n, err := parseNode(dec)
	if err == nil && dec.More() {
		err = errors.New("more than one JSON value")
	}
	return n, err
}

func parseNode(dec *json.Decoder) (node, error) {
	token, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	switch token {
	case json.Delim('{'):
		n := node{fields: map[string]node{}}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return n, err
			}
			name := fmt.Sprint(key)
			n.keys = append(n.keys, name)
			if n.fields[name], err = parseNode(dec); err != nil {
				return n, err
			}
		}
		_, err = dec.Token()
		return n, err
	case json.Delim('['):
		n := node{isList: true}
		for dec.More() {
			element, err := parseNode(dec)
			if err != nil {
				return n, err
			}
			n.list = append(n.list, element)
		}
		_, err = dec.Token()
		return n, err
	}
	return node{scalar: token}, nil
}

func (n node) standsIn(got node, at string) error {
	switch {
	case n.fields != nil:
		common := slices.DeleteFunc(slices.Clone(got.keys), func(key string) bool { return !slices.Contains(n.keys, key) })
		if !slices.Equal(common, n.keys) {
			return fmt.Errorf("%s has the fields %q, want %q", at, got.keys, n.keys)
		}
		for _, key := range n.keys {
			if err := n.fields[key].standsIn(got.fields[key], at+"."+key); err != nil {
				return err
			}
		}
	case n.isList:
		if !got.isList || len(got.list) != len(n.list) {
			return fmt.Errorf("%s has %d elements, want %d", at, len(got.list), len(n.list))
		}
		for i := range n.list {
			if err := n.list[i].standsIn(got.list[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case n.scalar != nil && n.scalar != got.scalar:
		return fmt.Errorf("%s is %v, want %v", at, got.scalar, n.scalar)
	}
	return nil
}
