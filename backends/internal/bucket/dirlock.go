package bucket

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// lockPatience is how long to wait for a process that is about to end.
const lockPatience = 2 * time.Second

// errLocked is what lockFile says while another process has the lock.
var errLocked = errors.New("locked by another process")

// A hold is this process's lock on a directory. However often the process opens
// the directory, it has one.
type hold struct {
	path  string
	file  *os.File
	users int
}

var holds struct {
	sync.Mutex
	byPath map[string]*hold
}

// acquire locks a directory for this process.
func acquire(root *os.Root, name string) (*hold, error) {
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, err
	}
	holds.Lock()
	defer holds.Unlock()
	if h := holds.byPath[real]; h != nil {
		h.users++
		return h, nil
	}
	file, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
			return nil, nil // nobody can write here, and reading needs no lock
		}
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		err = lockFile(file)
		if !errors.Is(err, errLocked) || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		_ = file.Close()
		if errors.Is(err, errLocked) {
			return nil, trackio.Errorf(trackio.ErrConflict, "file://%s is in use by another process", filepath.ToSlash(name)).
				WithHint("a directory serves one process at a time; wait for the other, or use a real object store")
		}
		return nil, err
	}
	h := &hold{path: real, file: file, users: 1}
	if holds.byPath == nil {
		holds.byPath = make(map[string]*hold)
	}
	holds.byPath[real] = h
	return h, nil
}

// release gives the lock up with its last user.
func (h *hold) release() {
	if h == nil {
		return
	}
	holds.Lock()
	defer holds.Unlock()
	if h.users--; h.users == 0 {
		delete(holds.byPath, h.path)
		_ = h.file.Close() // and with it the lock
	}
}
