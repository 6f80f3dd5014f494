package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// pluginPathKey lists folders with programs of backends.
const pluginPathKey = "TRACKIO_PLUGIN_PATH"

// selfProgram is this executable, started again as one of its own backends.
func selfProgram(name string) (program, error) {
	if os.Getenv(cookieKey) != "" {
		return program{}, trackio.Errorf(trackio.ErrInvalid, "a backend cannot open backend %q: it runs inside a backend's process", name)
	}
	if !dispatched.Load() {
		return program{}, trackio.Errorf(trackio.ErrInvalid, "this program cannot start itself as backend %q", name).
			WithHint("call plugin.ServeBuiltin first in main, or in TestMain when this is a test")
	}
	path := "/proc/self/exe" // right even when the file was replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return program{}, trackio.Errorf(trackio.ErrUnavailable, "finding this program: %w", err)
		}
	}
	return program{path: path, args: []string{os.Args[0], "plugin", "serve", name}, builtin: true}, nil
}

// findProgram looks for the program of a backend's type: in the folders of
// TRACKIO_PLUGIN_PATH, in the user's folder for plugins, on PATH. The current
// directory is never looked at, nor is any folder that is not absolute.
func findProgram(backendType string) (program, error) {
	name := "trackio-backend-" + backendType
	var folders []string
	folders = append(folders, filepath.SplitList(os.Getenv(pluginPathKey))...)
	if dir := userPluginDir(); dir != "" {
		folders = append(folders, dir)
	}
	folders = append(folders, filepath.SplitList(os.Getenv("PATH"))...)
	for _, folder := range folders {
		if !filepath.IsAbs(folder) {
			continue
		}
		file := filepath.Join(folder, name)
		if runtime.GOOS == "windows" {
			file += ".exe"
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
			return program{path: file, args: []string{file}}, nil
		}
	}
	return program{}, trackio.Errorf(trackio.ErrInvalid, "there is no program %s", name).
		WithHint("put it into %s or on PATH, or name it in the block: plugin = \"/path/to/%s\"", userPluginDir(), name)
}

// userPluginDir returns the folder for the user's plugins, "" when there is no
// home directory.
func userPluginDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	data := os.Getenv("XDG_DATA_HOME")
	switch {
	case runtime.GOOS == "windows":
		data = os.Getenv("LOCALAPPDATA")
	case runtime.GOOS == "darwin":
		data = filepath.Join(home, "Library", "Application Support")
	case !filepath.IsAbs(data):
		data = filepath.Join(home, ".local", "share")
	}
	if data == "" {
		return ""
	}
	return filepath.Join(data, "trackio", "plugins")
}

// pinnedCopy copies a program into a private folder while it is compared with
// the checksum of the block, so that what is started is what was checked.
func pinnedCopy(p program, dir string) (string, error) {
	source, err := os.Open(p.path)
	if err != nil {
		return "", err
	}
	defer func() { _ = source.Close() }()
	file := filepath.Join(dir, filepath.Base(p.path))
	target, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700) //nolint:gosec // a program is executable
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(target, hash), source)
	if closeErr := target.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); !strings.EqualFold(sum, p.sha256) {
		return "", trackio.Errorf(trackio.ErrPermission, "%s is not the pinned program: its sha256 is %s", p.path, sum).
			WithHint("put that sum into the block if the program is meant to have changed")
	}
	return file, nil
}

// maxSocketBase is the longest folder in which a socket's path stays within the
// 104 bytes that the shortest limit, that of macOS, allows.
const maxSocketBase = 60

// socketBase returns the folder for the socket's own folder: the shortest that
// the system offers and that can be written to.
func socketBase() (string, error) {
	candidates := []string{os.TempDir()}
	if runtime.GOOS != "windows" {
		candidates = append(candidates, "/tmp")
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		candidates = append([]string{dir}, candidates...)
		if len(candidates[1]) < len(dir) {
			candidates[0], candidates[1] = candidates[1], candidates[0]
		}
	}
	var last error
	for _, base := range candidates {
		if !filepath.IsAbs(base) || len(base) > maxSocketBase && runtime.GOOS != "windows" {
			continue
		}
		dir, err := os.MkdirTemp(base, "trackio")
		if err != nil {
			last = err
			continue
		}
		return base, os.Remove(dir)
	}
	if last == nil {
		return "", trackio.Errorf(trackio.ErrInvalid, "the path of the temporary folder %s is too long for a socket", os.TempDir()).
			WithHint("set TMPDIR to a folder with a shorter path")
	}
	return "", trackio.Errorf(trackio.ErrPermission, "no folder for the socket of a backend: %w", last).
		WithHint("set TMPDIR to a folder that can be written to")
}
