package trackio_test

import (
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

func TestParseTime(t *testing.T) {
	utc := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]struct {
		instant time.Time
		printed string
	}{
		"2026-01-31T12:00:00+00:00":           {utc, "2026-01-31T12:00:00+00:00"},
		"2026-01-31T12:00:00Z":                {utc, "2026-01-31T12:00:00+00:00"},
		"2026-01-31T12:00:00":                 {utc, "2026-01-31T12:00:00+00:00"},
		"2026-01-31 12:00:00":                 {utc, "2026-01-31T12:00:00+00:00"},
		"2026-01-31T12:00":                    {utc, "2026-01-31T12:00:00+00:00"},
		"2026-01-31":                          {utc.Add(-12 * time.Hour), "2026-01-31T00:00:00+00:00"},
		"2026-01-31T17:45:00+05:45":           {utc, "2026-01-31T17:45:00+05:45"},
		"2026-01-31 04:00:00-08:00":           {utc, "2026-01-31T04:00:00-08:00"},
		"2026-01-31T12:00:00.5+00:00":         {utc.Add(500 * time.Millisecond), "2026-01-31T12:00:00.500000+00:00"},
		"2026-01-31T12:00:00.000001+00:00":    {utc.Add(time.Microsecond), "2026-01-31T12:00:00.000001+00:00"},
		"2026-01-31T12:00:00.000000001+00:00": {utc.Add(1), "2026-01-31T12:00:00+00:00"},
	} {
		got, err := trackio.ParseTime(text)
		if err != nil || !got.Equal(want.instant) {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", text, got, err, want.instant)
			continue
		}
		if printed := trackio.FormatTime(got); printed != want.printed {
			t.Errorf("FormatTime(ParseTime(%q)) = %q, want %q", text, printed, want.printed)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01", "2026-01-31T25:00:00", "2026-01-31T12:00:00+00:00 ", "1700000000"} {
		if got, err := trackio.ParseTime(text); trackio.KindOf(err) != trackio.ErrInvalid || trackio.HintOf(err) == "" {
			t.Errorf("ParseTime(%q) = %v, %v, want invalid with a hint", text, got, err)
		}
	}
	if got := trackio.FormatTime(time.Time{}); got != "" {
		t.Errorf("FormatTime of the zero time = %q, want nothing", got)
	}
}
