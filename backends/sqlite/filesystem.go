package sqlite

import (
	"errors"
	"os"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// networkFilesystems are those on which Python Trackio does not write to its
// databases, since their locks cannot be relied on.
var networkFilesystems = [...]string{
	"nfs", "nfs4", "lustre", "gpfs", "ceph", "cephfs", "fuse.ceph", "beegfs", "wekafs", "cifs", "smb3", "smbfs",
	"afs", "glusterfs", "fuse.glusterfs", "panfs", "9p", "fuse.sshfs",
}

// checkFilesystem refuses changes on a network file system, unless the
// environment says, as it does for Python Trackio, that SQLite works there.
func checkFilesystem(dir string) error {
	if strings.EqualFold(os.Getenv("TRACKIO_STORAGE_MODE"), "sqlite") {
		return nil
	}
	kind := filesystemOf(dir)
	for _, network := range networkFilesystems {
		if kind == network {
			return trackio.Errorf(errors.ErrUnsupported, "%s is on a network file system (%s), where the locks of SQLite cannot be relied on; nothing was changed", dir, kind).
				WithHint("work on a local copy, or set TRACKIO_STORAGE_MODE=sqlite if its locks are known to work and nobody else writes")
		}
	}
	return nil
}
