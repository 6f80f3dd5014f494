package sqlite

import "os"

// lockable is always false: Windows keeps the locks of each handle apart, so
// none is ever dropped with another.
func lockable(*os.File) bool { return false }
