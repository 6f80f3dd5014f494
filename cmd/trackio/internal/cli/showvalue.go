package cli

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/mattn/go-runewidth"
)

// How much of a long value a table shows: of JSON less than of text and paths,
// which are of use only when they are whole.
const (
	jsonWidth = 60
	textWidth = 200
)

// showValue writes a value for a table: numbers and texts as they are, Trackio's
// own objects by what they are, everything else as short JSON.
func showValue(value json.RawMessage) string {
	if len(value) == 0 {
		return ""
	}
	switch value[0] {
	case '"':
		return clip(clean(unquote(value)), textWidth)
	case '{':
		if text, ok := showObject(split(value)); ok {
			return clip(clean(text), textWidth)
		}
	}
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return clip(clean(string(value)), jsonWidth)
	}
	return clip(clean(b.String()), jsonWidth)
}

// showObject describes one of Trackio's own objects, such as an image.
func showObject(fields []member) (string, bool) {
	kind, ok := strings.CutPrefix(field(fields, "_type"), "trackio.")
	if !ok {
		return "", false
	}
	if path := field(fields, "file_path"); path != "" {
		return kind + " " + path, true
	}
	for _, m := range fields {
		if m.key == "_value" && m.value[0] == '[' {
			return kind + " of " + plural(len(elements(m.value)), "row"), true
		}
	}
	if text := field(fields, "_value"); text != "" {
		return kind + " " + text, true
	}
	return kind, true
}

// clip cuts text that is wider than a number of columns.
func clip(text string, width int) string { return runewidth.Truncate(text, width, "…") }
