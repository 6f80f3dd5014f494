package trackio

import (
	"strings"
	"unicode"
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
