package sqlite

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// filesystemOf returns the type of the file system that a directory is on, "" if
// it cannot be told. It is the mount with the longest path above the directory.
func filesystemOf(dir string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		real = dir
	}
	if real, err = filepath.Abs(real); err != nil {
		return ""
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer mounts.Close()
	longest, kind := -1, ""
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		// 36 35 98:0 /root /mount/point options - type source options
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(types) == 0 {
			continue
		}
		point := unescapeMount(fields[4])
		if len(point) >= longest && (real == point || strings.HasPrefix(real, strings.TrimSuffix(point, "/")+"/")) {
			longest, kind = len(point), types[0] // the last mount on a point hides the others
		}
	}
	return kind
}

// unescapeMount undoes the octal escapes of white space in mountinfo.
func unescapeMount(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}
