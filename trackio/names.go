package trackio

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CanonicalProject returns the spelling under which a project is stored: the
// letters, numbers, '-' and '_' of the name, in their order; "default" when
// none is left. "my.model", "my model" and "mymodel" are one project. This is
// Python Trackio's rule; the [Api] applies it, so that all storages agree and a
// [Backend] sees canonical names only.
func CanonicalProject(name string) string {
	canonical := strings.Map(func(r rune) rune {
		if r != unicode.ReplacementChar && (unicode.IsLetter(r) || unicode.IsNumber(r)) || r == '-' || r == '_' {
			return r
		}
		return -1
	}, name)
	if canonical == "" {
		return "default"
	}
	return canonical
}

// reservedSuffixes are the endings by which Python Trackio tells the tables of
// an export apart; a project with such a name would be read as another's table.
var reservedSuffixes = [...]string{
	"_system", "_configs", "_traces", "_artifacts", "_artifact_versions",
	"_artifact_aliases", "_run_artifact_links",
}

// CheckNewProject reports, as [ErrInvalid], a canonical name that Python Trackio
// reserves, so that no new project takes it. Existing projects of such a name
// stay usable.
func CheckNewProject(canonical string) error {
	if strings.HasPrefix(canonical, "registry-") {
		return Errorf(ErrInvalid, "project name %q is reserved: Trackio keeps its registries under registry-*", canonical).
			WithHint("choose a name that does not begin with registry-")
	}
	for _, suffix := range reservedSuffixes {
		if strings.HasSuffix(canonical, suffix) {
			return Errorf(ErrInvalid, "project name %q is reserved: Trackio uses the ending %s for its own tables", canonical, suffix).
				WithHint("choose a name that does not end in %s", suffix)
		}
	}
	return nil
}

// CheckNewRunName reports, as [ErrInvalid], a name that no run should be given:
// Python Trackio uses run names as directories, where it would harm. Existing
// runs of such a name stay usable.
func CheckNewRunName(name string) error {
	bad := func(why string) error {
		return Errorf(ErrInvalid, "run name %q %s", name, why).WithHint("choose a name that can be a directory")
	}
	switch {
	case name == "":
		return bad("is empty")
	case !utf8.ValidString(name):
		return bad("is not UTF-8")
	case strings.HasPrefix(name, "/"), strings.HasPrefix(name, "\\"):
		return bad("begins with a slash")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("has a control character")
	}
	for i, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		switch {
		case part == "." || part == "..":
			return bad("has a part " + part)
		case i == 0 && strings.EqualFold(part, "files"):
			return bad("collides with the project's files, which Trackio keeps under files/")
		case len(part) > 255:
			return bad("has a part longer than 255 bytes")
		}
	}
	return nil
}

// DeriveRunID returns the id of a run that was known by its name alone, for
// storages in which runs have ids: the first 32 hex digits of the SHA-256 over
// project, name and the timestamp of its oldest row, separated by NUL.
func DeriveRunID(project, name, firstTimestamp string) string {
	sum := sha256.Sum256([]byte(project + "\x00" + name + "\x00" + firstTimestamp))
	return hex.EncodeToString(sum[:16])
}
