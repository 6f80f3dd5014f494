package sqlite

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// A media reference is an object with a string "_type" that starts with
// "trackio." and a string "file_path". Payloads are opaque otherwise: only the
// tokens of such paths are ever changed, every other byte stays.
//
// Of repeated keys the last one counts, as for Python; an earlier one is dead
// text and stays. A path that is no text (half a surrogate pair, bytes that are
// not UTF-8) can name no file in a stream of records and is no reference.

const (
	refKey   = "file_path"
	refMark  = `"file_path"` // for instr: a payload without it has no references
	maxDepth = 10000         // of nested values, as in encoding/json
)

// rewriteRefs replaces each media reference of a payload by what f makes of it,
// and reports whether anything changed. The result is the payload itself when
// nothing did. A payload that is not JSON is [trackio.ErrDataLoss].
func rewriteRefs(payload []byte, f func(path string) string) ([]byte, bool, error) {
	edits, err := scanRefs(payload, f)
	if err != nil || len(edits) == 0 {
		return payload, false, err
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(payload)+32*len(edits))
	at := 0
	for _, e := range edits {
		out = append(out, payload[at:e.start]...)
		out = appendJSONString(out, e.text)
		at = e.end
	}
	return append(out, payload[at:]...), true, nil
}

// findRefs calls visit with each media reference of a payload. A payload that is
// not JSON is [trackio.ErrDataLoss].
func findRefs(payload []byte, visit func(path string)) error {
	_, err := scanRefs(payload, func(path string) string {
		visit(path)
		return path
	})
	return err
}

// edit replaces the string token payload[start:end] by text.
type edit struct {
	start, end int
	text       string
}

func scanRefs(payload []byte, f func(path string) string) ([]edit, error) {
	if !bytes.Contains(payload, []byte(refKey)) {
		if !json.Valid(payload) {
			return nil, errNotJSON(payload)
		}
		return nil, nil
	}
	s := refScanner{data: payload, f: f}
	s.space()
	if !s.value(0) {
		return nil, errNotJSON(payload)
	}
	if s.space(); s.at != len(payload) {
		return nil, errNotJSON(payload)
	}
	return s.edits, nil
}

func errNotJSON(payload []byte) error {
	return trackio.Errorf(trackio.ErrDataLoss, "payload is not JSON: %.60q", payload)
}

// refScanner reads JSON once, from left to right. Its methods return false where
// the text is not JSON.
type refScanner struct {
	data  []byte
	at    int
	f     func(path string) string
	edits []edit
	visit func(key []byte) // sees the keys of the outermost object; may be nil
}

// token is the place of a string, quotes included; end is 0 when there is none.
type token struct{ start, end int }

func (s *refScanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *refScanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *refScanner) value(depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth)
	case c == '[':
		return s.array(depth)
	case c == '"':
		_, ok := s.str()
		return ok
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

func (s *refScanner) word(w string) bool {
	if !bytes.HasPrefix(s.data[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *refScanner) object(depth int) bool {
	s.at++
	var kind, path token
	if s.space(); s.peek() == '}' {
		s.at++
		return true
	}
	for {
		s.space()
		key, ok := s.str()
		if !ok {
			return false
		}
		if depth == 0 && s.visit != nil {
			s.visit(s.data[key.start:key.end])
		}
		if s.space(); s.peek() != ':' {
			return false
		}
		s.at++
		s.space()
		value := token{start: s.at}
		if s.peek() == '"' {
			if value, ok = s.str(); !ok {
				return false
			}
		} else if !s.value(depth + 1) {
			return false
		}
		switch {
		case s.is(key, "_type"):
			kind = value
		case s.is(key, refKey):
			path = value
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			s.reference(kind, path)
			return true
		default:
			return false
		}
	}
}

// reference treats an object with these values of "_type" and "file_path".
func (s *refScanner) reference(kind, path token) {
	if kind.end == 0 || path.end == 0 {
		return
	}
	if typ, ok := decodeJSONString(s.data[kind.start:kind.end]); !ok || !strings.HasPrefix(typ, "trackio.") {
		return
	}
	old, ok := decodeJSONString(s.data[path.start:path.end])
	if !ok {
		return
	}
	if text := s.f(old); text != old {
		s.edits = append(s.edits, edit{start: path.start, end: path.end, text: text})
	}
}

func (s *refScanner) array(depth int) bool {
	s.at++
	if s.space(); s.peek() == ']' {
		s.at++
		return true
	}
	for {
		s.space()
		if !s.value(depth + 1) {
			return false
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return true
		default:
			return false
		}
	}
}

// str reads a string token.
func (s *refScanner) str() (token, bool) {
	if s.peek() != '"' {
		return token{}, false
	}
	start := s.at
	for s.at++; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return token{start, s.at}, true
		case c < 0x20:
			return token{}, false
		case c == '\\':
			s.at++
			switch s.peek() {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(s.data[s.at+1:]); !ok {
					return token{}, false
				}
				s.at += 4
			default:
				return token{}, false
			}
		}
	}
	return token{}, false
}

// is reports whether a string token has the given value.
func (s *refScanner) is(t token, text string) bool {
	raw := s.data[t.start+1 : t.end-1]
	if string(raw) == text {
		return true
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return false
	}
	decoded, ok := decodeJSONString(s.data[t.start:t.end])
	return ok && decoded == text
}

func (s *refScanner) number() bool {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		return s.digits()
	}
	return true
}

func (s *refScanner) digits() bool {
	start := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > start
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// decodeJSONString returns the text of a string token that str has read; false
// when it is no text.
func decodeJSONString(tok []byte) (string, bool) {
	raw := tok[1 : len(tok)-1]
	if !utf8.Valid(raw) {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		if at := strings.IndexByte(`bfnrt`, raw[i]); at >= 0 {
			out = append(out, "\b\f\n\r\t"[at])
			continue
		}
		if raw[i] != 'u' {
			out = append(out, raw[i])
			continue
		}
		r, _ := hex4(raw[i+1:])
		i += 4
		if utf16.IsSurrogate(r) {
			if i+2 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
				return "", false
			}
			low, _ := hex4(raw[i+3:])
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", false
			}
			i += 6
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), true
}

// appendJSONString appends text as Python's json writes it without ensure_ascii:
// only what must be escaped is.
func appendJSONString(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= 0x20:
			out = append(out, c)
		case strings.IndexByte("\b\f\n\r\t", c) >= 0:
			out = append(out, '\\', `bfnrt`[strings.IndexByte("\b\f\n\r\t", c)])
		default:
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(out, '"')
}
