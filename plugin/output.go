package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/hashicorp/go-hclog"
)

const (
	keptLines = 20       // of the output of a process, for a report of its death
	keptLine  = 500      // bytes of each
	maxLine   = 64 << 10 // longer lines are cut
)

// outputLog takes what a backend writes: lines of hclog go to the host's logger
// at their level, others at debug, and the last ones are kept. Nothing in a line
// can make it fail.
type outputLog struct {
	logger hclog.Logger
	copyTo io.Writer // gets every byte; may be nil

	mu      sync.Mutex
	sources []*lineWriter
	tail    []string // the last lines
	crash   []string // what follows a panic, which is worth more than the last lines
}

// source returns a writer for one of the ways by which lines arrive: those of
// the process itself, and those that go-plugin carries. Lines do not mix.
func (s *outputLog) source() io.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &lineWriter{log: s}
	s.sources = append(s.sources, w)
	return w
}

type lineWriter struct {
	log  *outputLog
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

func (s *outputLog) take(line string) {
	entry, parsed := parseEntry(line)
	short := printable(line)
	if parsed {
		short = printable(entry.String())
	}
	if len(s.tail) == keptLines {
		s.tail = append(s.tail[:0], s.tail[1:]...)
	}
	s.tail = append(s.tail, short)
	switch begins := strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: "); {
	case begins:
		s.crash = []string{short} // what was written before was survived
	case len(s.crash) > 0 && len(s.crash) < keptLines:
		s.crash = append(s.crash, short)
	}
	if s.logger == nil || s.logger.GetLevel() == hclog.Off {
		return
	}
	if !parsed {
		s.logger.Debug(line)
		return
	}
	s.logger.Log(entry.level, entry.message, entry.fields...)
}

// lastLines returns what is worth reporting of a process that died.
func (s *outputLog) lastLines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.tail
	if len(s.crash) > 0 {
		lines = s.crash
	}
	lines = slices.Clone(lines)
	for _, w := range s.sources {
		if len(w.line) > 0 {
			lines = append(lines, printable(string(w.line)))
		}
	}
	return lines
}

// printable makes a line of a program fit for a message on a terminal: short, and
// without the characters that control it.
func printable(line string) string {
	if len(line) > keptLine {
		line = line[:keptLine] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, line)
}

type entry struct {
	level   hclog.Level
	message string
	fields  []any
}

func (e entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s", strings.ToUpper(e.level.String()), e.message)
	for i := 0; i+1 < len(e.fields); i += 2 {
		fmt.Fprintf(&b, " %v=%v", e.fields[i], e.fields[i+1])
	}
	return b.String()
}

// parseEntry reads a line of hclog's JSON format. Anything that is not quite one
// is none.
func parseEntry(line string) (entry, bool) {
	if !strings.HasPrefix(line, "{") {
		return entry{}, false
	}
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber() // 1000000 is not to become 1e+06
	if decoder.Decode(&fields) != nil || decoder.More() {
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
