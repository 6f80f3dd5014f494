package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

const (
	keptLines = 20       // of the output of a process, for a report of its death
	maxLine   = 64 << 10 // longer lines are cut
)

// stderrLog takes what a backend writes: lines of hclog go to the host's logger
// at their level, others at debug, and the last ones are kept. Nothing in a line
// can make it fail.
type stderrLog struct {
	logger hclog.Logger
	copyTo io.Writer // gets every byte; may be nil

	mu      sync.Mutex
	sources []*lineWriter
	tail    []string // the last lines
	crash   []string // what follows a panic, which is worth more than the last lines
}

// source returns a writer for one of the ways by which lines arrive: those of
// the process itself, and those that go-plugin carries. Lines do not mix.
func (s *stderrLog) source() io.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &lineWriter{log: s}
	s.sources = append(s.sources, w)
	return w
}

type lineWriter struct {
	log  *stderrLog
	line []byte // begun
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	if w.log.copyTo != nil {
		_, _ = w.log.copyTo.Write(p)
	}
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		if room := maxLine - len(w.line); len(part) > room {
			part = part[:room]
		}
		w.line = append(w.line, part...)
		if ended {
			w.log.take(strings.TrimRight(string(w.line), "\r"))
			w.line = w.line[:0]
		}
		rest = after
	}
	return len(p), nil
}

func (s *stderrLog) take(line string) {
	if len(s.tail) == keptLines {
		s.tail = append(s.tail[:0], s.tail[1:]...)
	}
	s.tail = append(s.tail, line)
	if begins := strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: "); begins || len(s.crash) > 0 {
		if len(s.crash) < keptLines {
			s.crash = append(s.crash, line)
		}
	}
	if s.logger == nil || s.logger.GetLevel() == hclog.Off {
		return
	}
	entry, ok := parseEntry(line)
	if !ok {
		s.logger.Debug(line)
		return
	}
	s.logger.Log(entry.level, entry.message, entry.fields...)
}

// lastLines returns what is worth reporting of a process that died.
func (s *stderrLog) lastLines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.tail
	if len(s.crash) > 0 {
		lines = s.crash
	}
	lines = slices.Clone(lines)
	for _, w := range s.sources {
		if len(w.line) > 0 {
			lines = append(lines, string(w.line))
		}
	}
	return lines
}

type entry struct {
	level   hclog.Level
	message string
	fields  []any
}

// parseEntry reads a line of hclog's JSON format. Anything that is not quite one
// is none.
func parseEntry(line string) (entry, bool) {
	if !strings.HasPrefix(line, "{") {
		return entry{}, false
	}
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil {
		return entry{}, false
	}
	message, ok := fields["@message"].(string)
	if !ok {
		return entry{}, false
	}
	text, _ := fields["@level"].(string)
	level := hclog.LevelFromString(text)
	if level == hclog.NoLevel || level == hclog.Off {
		level = hclog.Debug
	}
	e := entry{level: level, message: message}
	var names []string
	for name := range fields {
		if !strings.HasPrefix(name, "@") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		e.fields = append(e.fields, name, fmt.Sprint(fields[name]))
	}
	return e, true
}
