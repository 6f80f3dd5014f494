package rows

import (
	"time"
)

// Summary says what a file holds; it is what a run's manifest and listings need.
type Summary struct {
	Rows        int64
	Undelivered int64 // rows with a SpaceID

	// LastStep is the highest step, nil when no row has one.
	LastStep *int64

	// First and Last are the least and the greatest timestamp, compared as text,
	// as [trackio.RunInfo] has them; "" when there are no rows.
	First, Last string

	// Newest is the latest instant that a timestamp names, the zero time when
	// none names one: it says whether the run is still written to.
	Newest time.Time

	// Names are the top-level keys of the payloads of metrics and system metrics,
	// in byte order. When there are too many to keep (more than 10,000, or 1 MiB
	// of them), NamesCut is set, and some are missing.
	Names    []string
	NamesCut bool

	// Footer is a checksum of the footer, as [Options] takes it. The pages have their
	// own; with this one, no damage to a file can go unseen.
	Footer string
}

// stamp counts a row of that timestamp and returns its time column.
func (w *Writer[R]) stamp(timestamp string) *int64 {
	s := &w.summary
	if s.Rows == 0 || timestamp < s.First {
		s.First = timestamp
	}
	if s.Rows == 0 || timestamp > s.Last {
		s.Last = timestamp
	}
	s.Rows++
	us, at := instant(timestamp)
	if us != nil && at.After(s.Newest) {
		s.Newest = at
	}
	return us
}

// note takes down the step, if any, and the space of a row.
func (w *Writer[R]) note(step *int64, space string) {
	s := &w.summary
	if space != "" {
		s.Undelivered++
	}
	switch {
	case step == nil:
	case s.LastStep == nil:
		last := *step
		s.LastStep = &last
	case *step > *s.LastStep:
		*s.LastStep = *step
	}
}
