//go:build !linux

package sqlite

// filesystemOf cannot tell the type of a file system here.
func filesystemOf(string) string { return "" }
