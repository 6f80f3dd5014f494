package rows

import (
	"math"
	"time"
)

// window is what a reader wants, in the numbers of the file.
type window struct {
	steps, times bool // whether they matter
	fromStep     int64
	toStep       int64
	fromTime     int64 // microseconds since 1970, rounded down, as in the file
	toTime       int64
}

func newWindow(opts Options) window {
	w := window{
		steps: opts.Steps.From != nil || opts.Steps.To != nil, fromStep: math.MinInt64, toStep: math.MaxInt64,
		times: opts.Times.From != nil || opts.Times.To != nil, fromTime: math.MinInt64, toTime: math.MaxInt64,
	}
	if opts.Steps.From != nil {
		w.fromStep = *opts.Steps.From
	}
	if opts.Steps.To != nil {
		w.toStep = *opts.Steps.To
	}
	if opts.Times.From != nil {
		w.fromTime = micros(*opts.Times.From)
	}
	if opts.Times.To != nil {
		w.toTime = micros(*opts.Times.To)
	}
	return w
}

// micros returns the microseconds since 1970, and the nearest number that there
// is for a time beyond them.
func micros(t time.Time) int64 {
	switch year := t.UTC().Year(); {
	case year < -290_000:
		return math.MinInt64
	case year > 290_000:
		return math.MaxInt64
	}
	return t.UnixMicro()
}

// mayHold reports whether a row group can hold a row of the window.
func (w window) mayHold(g *group) bool {
	if w.steps && g.step.excludes(w.fromStep, w.toStep) {
		return false
	}
	return !w.times || !g.time.excludes(w.fromTime, w.toTime)
}

// excludes reports whether no row of a row group is inside a range. Rows without a
// value are inside any.
func (b bounds) excludes(from, to int64) bool {
	return b.known && !b.nulls && (b.max < from || b.min > to)
}

// holds reports whether the row i of a batch is wanted; at and step are the
// columns to look at, the latter -1 when there is none.
func (w window) holds(b *batch, at, step, i int) bool {
	if w.times && b.outside(at, i, w.fromTime, w.toTime) {
		return false
	}
	return !w.steps || step < 0 || !b.outside(step, i, w.fromStep, w.toStep)
}

func (b *batch) outside(column, i int, from, to int64) bool {
	v := &b.columns[column]
	return v.has(i) && (v.numbers[i] < from || v.numbers[i] > to)
}
