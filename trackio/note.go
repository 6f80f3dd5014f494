package trackio

import (
	"context"
	"fmt"
)

type noteKey struct{}

// WithNotes returns a context whose calls report notes to f: things that a
// caller should know and that are no errors, such as what a deletion left in
// place on purpose. f may be called by several goroutines at once.
func WithNotes(ctx context.Context, f func(note string)) context.Context {
	return context.WithValue(ctx, noteKey{}, f)
}

// Note reports a note to whoever made the call, if he listens. Backends use it;
// notes pass the boundary to a backend's process.
func Note(ctx context.Context, format string, args ...any) {
	if f, ok := ctx.Value(noteKey{}).(func(string)); ok {
		f(fmt.Sprintf(format, args...))
	}
}
