package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// member is one field of a JSON object, its value as it stands in the text.
type member struct {
	key   string
	value json.RawMessage
}

// members splits a JSON object into its fields, in their order. Number tokens
// and nested values stay as they are.
func members(object json.RawMessage) ([]member, error) {
	if !json.Valid(object) {
		return nil, trackio.Errorf(trackio.ErrDataLoss, "stored payload is not JSON: %.60q", object)
	}
	text := bytes.TrimSpace(object)
	if len(text) == 0 || text[0] != '{' {
		return nil, trackio.Errorf(trackio.ErrDataLoss, "stored payload is not a JSON object: %.60q", object)
	}
	return split(text), nil
}

// split reads the fields of an object that is known to be valid.
func split(text []byte) []member {
	var fields []member
	i := skipSpace(text, 1)
	for text[i] != '}' {
		end := skipValue(text, i)
		key := unquote(text[i:end])
		i = skipSpace(text, skipSpace(text, end)+1) // over the colon
		end = skipValue(text, i)
		fields = append(fields, member{key, text[i:end]})
		if i = skipSpace(text, end); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	return fields
}

// elements splits a JSON array that is known to be valid.
func elements(text []byte) []json.RawMessage {
	var all []json.RawMessage
	i := skipSpace(text, 1)
	for text[i] != ']' {
		end := skipValue(text, i)
		all = append(all, text[i:end])
		if i = skipSpace(text, end); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	return all
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns where the value that begins at i ends.
func skipValue(text []byte, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = skipString(text, i) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 { // the end of what a bare number or word stands in
				return i
			}
			depth--
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// skipString returns the index after the string that begins at i.
func skipString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

func unquote(token []byte) string {
	if bytes.IndexByte(token, '\\') < 0 {
		text := string(token[1 : len(token)-1])
		if !utf8.ValidString(text) {
			text = string([]rune(text)) // each broken byte becomes U+FFFD, as in encoding/json
		}
		return text
	}
	var s string
	if json.Unmarshal(token, &s) != nil {
		return string(token)
	}
	return s
}

// text returns the value of a JSON string, and whether it is one.
func (m member) text() (string, bool) {
	if len(m.value) == 0 || m.value[0] != '"' {
		return "", false
	}
	return unquote(m.value), true
}

// field returns the text of a field, "" when it is missing or no string.
func field(fields []member, key string) string {
	for _, m := range fields {
		if m.key == key {
			text, _ := m.text()
			return text
		}
	}
	return ""
}

// mayHold reports whether a payload can contain a key: false is certain.
func mayHold(payload json.RawMessage, quotedKey []byte) bool {
	return bytes.Contains(payload, quotedKey) || bytes.IndexByte(payload, '\\') >= 0
}

// localize writes the media references inside a value as Python Trackio knows
// them: <project>/<run name>/<path>. One that does not lead into the run's own
// files keeps its text, without the slash that marks it in a stream.
func localize(value json.RawMessage, project, runName string) json.RawMessage {
	if !mayHold(value, []byte(`"file_path"`)) || len(value) == 0 {
		return value
	}
	switch value[0] {
	case '[':
		parts := elements(value)
		for i, part := range parts {
			parts[i] = localize(part, project, runName)
		}
		return joinArray(parts)
	case '{':
		fields := split(value)
		isMedia := strings.HasPrefix(field(fields, "_type"), "trackio.")
		for i, m := range fields {
			path, isText := m.text()
			if isMedia && isText && m.key == "file_path" {
				fields[i].value = mustJSON(localPath(path, project, runName))
			} else {
				fields[i].value = localize(m.value, project, runName)
			}
		}
		return joinObject(fields)
	}
	return value
}

func localPath(path, project, runName string) string {
	if foreign, ok := strings.CutPrefix(path, "/"); ok {
		return foreign
	}
	return project + "/" + runName + "/" + path
}

func joinArray(parts []json.RawMessage) json.RawMessage {
	return append(append([]byte{'['}, bytes.Join(rawBytes(parts), []byte{','})...), ']')
}

func rawBytes(parts []json.RawMessage) [][]byte {
	all := make([][]byte, len(parts))
	for i, part := range parts {
		all[i] = part
	}
	return all
}

// joinObject is the inverse of split.
func joinObject(fields []member) json.RawMessage {
	text := []byte{'{'}
	for i, m := range fields {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, mustJSON(m.key)...), ':')
		text = append(text, m.value...)
	}
	return append(text, '}')
}

// mustJSON encodes a string, which cannot fail.
func mustJSON(text string) json.RawMessage {
	raw, err := encodeJSON(text)
	if err != nil {
		panic(err)
	}
	return raw
}
