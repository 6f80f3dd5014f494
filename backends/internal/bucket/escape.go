package bucket

import (
	"fmt"
	"strconv"
	"strings"
)

// escapeKey is what gocloud makes of a key on S3, for the requests that do not
// go through it: the slash after two dots, and the first underscore of text
// that looks like such an escape. What else it escapes is in no key of ours.
func escapeKey(key string) string {
	if !strings.Contains(key, "../") && !strings.Contains(key, "__0x") {
		return key
	}
	var escaped strings.Builder
	for i := range len(key) {
		switch {
		case key[i] == '/' && strings.HasSuffix(key[:i], ".."), looksEscaped(key[i:]):
			fmt.Fprintf(&escaped, "__%#x__", key[i])
		default:
			escaped.WriteByte(key[i])
		}
	}
	return escaped.String()
}

// looksEscaped reports whether gocloud would read the start of a text as an escape.
func looksEscaped(text string) bool {
	text, found := strings.CutPrefix(text, "__0x")
	if !found {
		return false
	}
	digits, rest, found := strings.Cut(text, "_")
	if !found || !strings.HasPrefix(rest, "_") {
		return false
	}
	_, err := strconv.ParseInt(digits, 16, 32)
	return err == nil
}
