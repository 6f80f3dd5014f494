package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/trackio-go/trackio/trackio"
)

// painter colours text, or leaves it as it is.
type painter bool

func (p painter) wrap(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p painter) bold(text string) string { return p.wrap("1", text) }
func (p painter) dim(text string) string  { return p.wrap("2", text) }
func (p painter) bad(text string) string  { return p.wrap("1;31", text) }

// clean makes a name or a value safe to show on one line of a terminal: control
// characters, invisible ones and broken UTF-8 are written as escapes.
func clean(text string) string { return escape(text, "") }

// cleanText is clean for text of several lines.
func cleanText(text string) string { return escape(text, "\n\t") }

func escape(text, keep string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !shows(r) }) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case shows(r), strings.ContainsRune(keep, r):
			b.WriteRune(r)
		default:
			quoted := fmt.Sprintf("%q", string(r))
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

func shows(r rune) bool { return unicode.IsGraphic(r) && r != '\u2028' && r != '\u2029' }

// showTime prints a time in the zone of the reader.
func (e *Env) showTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(e.Zone).Format("2006-01-02 15:04:05")
}

// showStamp prints a stored timestamp in the zone of the reader, and one that
// cannot be read as it is.
func (e *Env) showStamp(text string) string {
	t, err := trackio.ParseTime(text)
	if err != nil {
		return clean(text)
	}
	return e.showTime(t)
}

// age says how long ago a time was, in its largest unit.
func (e *Env) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := e.Now().Sub(t)
	switch {
	case d < 0:
		return "in " + span(-d)
	default:
		return span(d)
	}
}

func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 2*day:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	case d < 2*365*day:
		return fmt.Sprintf("%dd", int(d/day))
	}
	return fmt.Sprintf("%dy", int(d/(365*day)))
}

// plural counts things in English.
func plural[N int | int64](n N, thing string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
