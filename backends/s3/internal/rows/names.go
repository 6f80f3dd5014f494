package rows

import (
	"encoding/json"
	"maps"
	"slices"
)

// What is kept of names: a run that makes up a name for each row must not fill
// the memory.
const (
	maxNames     = 10_000
	maxNameBytes = 1 << 20
)

// names collects the top-level keys of JSON objects.
type names struct {
	tokens map[string]struct{} // keys as they are written, with their quotes
	bytes  int
	cut    bool
}

// add collects the keys of one payload. What is no object has none.
func (n *names) add(payload []byte) {
	eachKey(payload, func(token []byte) {
		if _, known := n.tokens[string(token)]; known || n.cut {
			return
		}
		if len(n.tokens) >= maxNames || n.bytes+len(token) > maxNameBytes {
			n.cut = true
			return
		}
		if n.tokens == nil {
			n.tokens = map[string]struct{}{}
		}
		n.tokens[string(token)] = struct{}{}
		n.bytes += len(token)
	})
}

// sorted returns the names in byte order, and whether some are missing.
func (n *names) sorted() ([]string, bool) {
	decoded := make(map[string]struct{}, len(n.tokens))
	for token := range n.tokens {
		var name string
		if json.Unmarshal([]byte(token), &name) == nil {
			decoded[name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(decoded)), n.cut
}

// eachKey calls visit with the string token of each top-level key of a JSON
// object. The values are passed over without a look at their sense; it ends where
// the payload is no object, or not JSON.
func eachKey(payload []byte, visit func(token []byte)) {
	at := space(payload, 0)
	if at >= len(payload) || payload[at] != '{' {
		return
	}
	for at = space(payload, at+1); at < len(payload) && payload[at] == '"'; at = space(payload, at+1) {
		end := quoted(payload, at)
		colon := space(payload, end)
		if colon >= len(payload) || payload[colon] != ':' {
			return
		}
		visit(payload[at:end])
		if at = value(payload, colon+1); at >= len(payload) || payload[at] != ',' {
			return
		}
	}
}

func space(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
}

// quoted returns the end of the string that begins at a quote.
func quoted(b []byte, at int) int {
	for at++; at < len(b); at++ {
		switch b[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(b)
}

// value returns the place of the comma or brace that ends the value at a place.
func value(b []byte, at int) int {
	for depth := 0; at < len(b); {
		switch b[at] {
		case '"':
			at = quoted(b, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return at
			}
			depth--
		case ',':
			if depth == 0 {
				return at
			}
		}
		at++
	}
	return at
}
