//go:build kill && linux

package tracer

import "golang.org/x/sys/unix"

// oldCalls are those that younger architectures do not have.
var oldCalls = []uint32{unix.SYS_LINK, unix.SYS_UNLINK, unix.SYS_RMDIR, unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_SYMLINK}
