//go:build kill && linux

package kill

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// difference says how two maps differ, "" when they do not.
func difference(got, want map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if old, ok := want[key]; !ok {
			out = append(out, "+ "+key+" "+got[key])
		} else if old != got[key] {
			out = append(out, "! "+key+" "+got[key], "  instead of "+old)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[key]; !ok {
			out = append(out, "- "+key+" "+want[key])
		}
	}
	return strings.Join(out, "\n")
}

var errViolated = errors.New("violated")

// model is what a store must be like: as before the change or as after it.
type model struct {
	before, after  state  // of the change alone
	undone, done   state  // and of the next change after it
	source, target string // projects of the run; no target when it does not leave
	// returns: the source has got rows since the crash, and the run goes back.
	returns bool
}

// sideOf says whether readers see the store as it was before the change.
func (m *model) sideOf(s state) (before bool, err error) {
	was, is := difference(s.readers, m.before.readers), difference(s.readers, m.after.readers)
	if was != "" && is != "" {
		return false, fmt.Errorf("%w: our readers see neither the store before the change:\n%s\nnor the one after it:\n%s", errViolated, was, is)
	}
	return was == "", nil
}

// interrupted checks a store that a kill has left, before anybody settles it.
func (m *model) interrupted(s state) (before bool, err error) {
	before, err = m.sideOf(s)
	if err != nil {
		return before, err
	}
	// Every database is whole: as before, or as after. The run is in one of
	// them, or in both.
	parts := map[string]bool{} // by project: as before
	for _, project := range slices.Sorted(maps.Keys(union(m.before.python, m.after.python, s.python))) {
		rows, was, is := s.python[project], m.before.python[project], m.after.python[project]
		switch {
		case rows != was && rows != is:
			return before, fmt.Errorf("%w: SQLite sees neither the rows of before nor of after in %s, but\n%s", errViolated, project, rows)
		case was != is:
			parts[project] = rows == was
		}
	}
	decisive := m.target
	if decisive == "" {
		decisive = m.source
	}
	if part, ok := parts[decisive]; ok && part != before {
		return before, fmt.Errorf("%w: %s is as before: %v; our readers see the store as before: %v", errViolated, decisive, part, before)
	}
	if source, ok := parts[m.source]; ok && before && !source {
		return before, fmt.Errorf("%w: SQLite sees the run in neither project", errViolated)
	}
	return before, m.references(s)
}

// references: every file that a row refers to is there with its content.
func (m *model) references(s state) error {
	known := union(m.before.dangling(), m.after.dangling())
	for lost := range s.dangling() {
		if _, ok := known[lost]; !ok {
			return fmt.Errorf("%w: a row refers to a file that is gone: %s", errViolated, lost)
		}
	}
	for _, rows := range s.python {
		for _, ref := range filePath.FindAllStringSubmatch(rows, -1) {
			want, ok := m.before.media[ref[1]]
			if !ok {
				want = m.after.media[ref[1]]
			}
			if s.media[ref[1]] != want {
				return fmt.Errorf("%w: the file %s has other content than it had", errViolated, ref[1])
			}
		}
	}
	return nil
}

// recovered checks a store after the next change.
func (m *model) recovered(s state, before bool) error {
	want := m.done
	if before || m.returns {
		want = m.undone
	}
	for _, part := range []struct {
		name      string
		got, want map[string]string
	}{
		{"what our readers see", s.readers, want.readers},
		{"what SQLite sees", s.python, want.python},
		{"the media", s.media, want.media},
		{"the other files", s.files, want.files},
		{"references without a file", s.dangling(), want.dangling()},
	} {
		if d := difference(part.got, part.want); d != "" {
			return fmt.Errorf("%w: after recovery (the change undone: %v) %s differ:\n%s", errViolated, before || m.returns, part.name, d)
		}
	}
	return nil
}

func union(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for key := range m {
			all[key] = m[key]
		}
	}
	return all
}
