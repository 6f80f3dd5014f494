//go:build !linux

package sqlite

// filesystemOf cannot tell the type of a file system here.
func filesystemOf(string) string { return "" }

// renameNew renames a file to a name that is free; one that is taken is
// fs.ErrExist, and stays what it is.
func renameNew(from, to string) error { return renameChecked(from, to) }
