package trackio

import (
	"fmt"
	"time"
)

// Layouts of ISO 8601 as Python's datetime.fromisoformat reads and isoformat
// writes them. A fraction is accepted after the seconds by time.Parse itself.
var (
	zonedLayouts = [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00"}
	naiveLayouts = [...]string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"}
)

// ParseTime reads a timestamp as Trackio stores it: ISO 8601 with an offset; a
// stamp without one is UTC. The offset is kept, so that [FormatTime] gives the
// text back. Errors are [ErrInvalid].
func ParseTime(text string) (time.Time, error) {
	for _, layout := range zonedLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	for _, layout := range naiveLayouts {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Errorf(ErrInvalid, "%q is no ISO 8601 time", text).
		WithHint("write it like 2026-01-31T12:00:00+00:00")
}

// FormatTime prints a time as Python's datetime.isoformat does: microseconds,
// left out when zero, and a numeric offset. The zero time is "".
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	text := t.Format("2006-01-02T15:04:05")
	if us := t.Nanosecond() / 1000; us != 0 {
		text += fmt.Sprintf(".%06d", us)
	}
	return text + t.Format("-07:00")
}
