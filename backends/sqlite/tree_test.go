package sqlite

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// treeOf describes a directory tree: names, sizes, times of change and content.
// No database may be open in this process meanwhile: closing a file that is read
// here drops SQLite's locks on it.
func treeOf(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%s %v %d %s", rel, info.Mode(), info.Size(), info.ModTime().Format("15:04:05.000000000"))
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.WriteString(" " + sha256Hex(string(data)))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sameTree fails the test when the tree is not as it was.
func sameTree(t testing.TB, dir, before string) {
	t.Helper()
	if after := treeOf(t, dir); after != before {
		t.Errorf("the directory changed:\nbefore\n%s\nafter\n%s", before, after)
	}
}

// globEscape makes every character of a directory's name stand for itself.
func globEscape(dir string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(dir)
}
