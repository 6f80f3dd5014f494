package sqlite

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// splitRef returns the path, relative to the run, of the file that a file_path
// refers to. It is the run's own when it lies under the media tree of the
// project: under a first part that is the project's name, canonical or as old
// versions wrote it. That part is taken off and, if it follows, the run's
// directory. Separators of Windows count as slashes, and no ".." leads out.
func splitRef(filePath, project, runName string) (rel string, own bool) {
	clean := slashed(filePath)
	if clean == "" || path.IsAbs(clean) || hasDrive(clean) {
		return "", false
	}
	clean = path.Clean(clean)
	first, rest, nested := strings.Cut(clean, "/")
	if !nested || first == ".." || trackio.CanonicalProject(first) != project {
		return "", false
	}
	rel = rest
	if name := path.Clean(slashed(runName)); name != "." && strings.HasPrefix(rest, name+"/") {
		rel = rest[len(name)+1:]
	} else if dir, below, ok := strings.Cut(rest, "/"); ok && isPrivateDir(dir) {
		rel = below
	} else if step := path.Base(path.Dir(rest)); isStep(step) {
		rel = path.Join(step, path.Base(rest)) // the run had another name when it wrote the file
	}
	if trackio.CheckMediaPath(rel) != nil {
		return "", false
	}
	return rel, true
}

// joinRef is the inverse of splitRef: the file_path, relative to the media
// directory, of a file of a run. It is the one that Python Trackio would write,
// unless the run's name is no safe directory (see runDir).
func joinRef(rel, project, runName string) string {
	return path.Join(project, runDir(runName), rel)
}

// joinPrivate is joinRef with a directory that belongs to the run alone, for
// files whose place in the directory of its name is taken. The parts say whose
// it is, such as the id; splitRef takes the directory off again.
func joinPrivate(rel, project string, parts ...string) string {
	return path.Join(project, privateDir(parts...), rel)
}

// runDir returns the directory, below the project's, for the media of a run of
// that name. It is the name itself, slashes nesting directories as in Python
// Trackio. A name that would lead outside, that no file system takes, or that
// collides with the project files in files/ gets a directory made of its hash.
func runDir(runName string) string {
	if runName == "" || runName != path.Clean(runName) || path.IsAbs(runName) || hasDrive(runName) ||
		!utf8.ValidString(runName) || len(runName) > 1024 || isPrivateDir(runName) {
		return privateDir(runName)
	}
	for i, part := range strings.Split(runName, "/") {
		if part == "." || part == ".." || len(part) > 255 || i == 0 && strings.EqualFold(part, "files") ||
			strings.ContainsRune(part, '\\') || strings.ContainsFunc(part, unicode.IsControl) {
			return privateDir(runName)
		}
	}
	return runName
}

const privatePrefix = "run-"

// privateDir returns a directory name made of the hash of some parts.
func privateDir(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return privatePrefix + hex.EncodeToString(sum[:16])
}

func isPrivateDir(dir string) bool {
	digits, ok := strings.CutPrefix(dir, privatePrefix)
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// isStep reports a directory name that is a number, as that of a step is.
func isStep(dir string) bool {
	digits := strings.TrimPrefix(dir, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

func slashed(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// hasDrive reports a path like C:/x, which Windows takes as absolute.
func hasDrive(p string) bool {
	return len(p) >= 3 && p[1] == ':' && p[2] == '/' && (p[0]|0x20) >= 'a' && (p[0]|0x20) <= 'z'
}

// refMap gives each file that a run refers to its path in a stream, so that no
// two files share one. It holds about 200 bytes a file.
type refMap struct {
	project, runName string
	rels             map[string]string  // clean file_path: path in the stream
	taken            map[string]refFile // path in the stream: whose it is
	order            []string           // the clean file_paths as they were added
}

// refFile is a file that a run refers to.
type refFile struct {
	Rel  string // in a stream of records: relative to the run
	Path string // the file_path as some row has it, relative to the media directory
}

func newRefMap(project, runName string) *refMap {
	return &refMap{project: project, runName: runName, rels: map[string]string{}, taken: map[string]refFile{}}
}

// add notes a reference and returns the form that it has in a stream. Two files
// can have one path relative to the run: old versions spelled the project's
// directory in their own way. The first that is added keeps it; the others get
// one with a directory made of the hash of their file_path.
func (m *refMap) add(filePath string) string {
	rel, own := splitRef(filePath, m.project, m.runName)
	if !own {
		return "/" + filePath
	}
	clean := path.Clean(slashed(filePath))
	if rel, ok := m.rels[clean]; ok {
		return rel
	}
	if _, clash := m.taken[rel]; clash {
		rel = path.Join(privateDir(clean), rel)
	}
	m.rels[clean] = rel
	m.taken[rel] = refFile{Rel: rel, Path: filePath}
	m.order = append(m.order, clean)
	return rel
}

// mark and undo take back what was added since the mark.
func (m *refMap) mark() int { return len(m.order) }

func (m *refMap) undo(mark int) {
	for _, clean := range m.order[mark:] {
		delete(m.taken, m.rels[clean])
		delete(m.rels, clean)
	}
	m.order = m.order[:mark]
}

// has reports whether a file_path refers to a file that was added.
func (m *refMap) has(filePath string) bool {
	_, ok := m.rels[path.Clean(slashed(filePath))]
	return ok
}

// files returns the files in byte order of their paths in the stream.
func (m *refMap) files() []refFile {
	files := make([]refFile, 0, len(m.taken))
	for _, f := range m.taken {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b refFile) int { return cmp.Compare(a.Rel, b.Rel) })
	return files
}
