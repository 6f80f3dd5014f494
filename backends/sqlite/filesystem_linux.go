package sqlite

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// renameNew renames a file to a name that is free; one that is taken is
// fs.ErrExist, and stays what it is.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not on this file system
		return renameChecked(from, to)
	}
	return err
}

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
