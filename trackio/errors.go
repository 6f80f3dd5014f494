package trackio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// The kinds of errors. Programs act on the kind, with [errors.Is] or [KindOf];
// people read the message. An operation that a storage cannot do at all is
// [errors.ErrUnsupported].
var (
	// ErrNotFound: the project, run or file does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: the target of an import, move or copy is already there.
	ErrExists = errors.New("already exists")
	// ErrConflict: the run changed meanwhile, is being written to, or is locked.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the request or the configuration makes no sense as it stands.
	ErrInvalid = errors.New("invalid")
	// ErrPermission: the storage refuses the access.
	ErrPermission = errors.New("permission denied")
	// ErrUnavailable: the storage cannot be reached at the moment.
	ErrUnavailable = errors.New("unavailable")
	// ErrDataLoss: stored data is damaged, incomplete or not readable.
	ErrDataLoss = errors.New("data loss")
	// ErrBackendDied: the process of the backend ended in the middle of a call.
	// Whether the call took effect is unknown until one looks.
	ErrBackendDied = errors.New("backend process died")
)

var kinds = [...]error{
	ErrNotFound, ErrExists, ErrConflict, ErrInvalid, ErrPermission,
	ErrUnavailable, ErrDataLoss, ErrBackendDied, errors.ErrUnsupported,
}

// Error is the error that backends return and the core passes on: a kind for
// programs, a message that names the thing, and a hint that names the way out.
type Error struct {
	Kind    error  // one of the kinds above
	Message string // what happened to which thing, without the cause
	Hint    string // what the reader can do about it; may be empty
	Err     error  // the cause; may be nil
}

// Errorf returns an [Error] of a kind. Arguments are formatted as by
// [fmt.Errorf]; a %w operand becomes the cause and stays in the message.
func Errorf(kind error, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: kind, Message: err.Error()}
	switch wrapped := err.(type) { //nolint:errorlint // how this very error was made
	case interface{ Unwrap() error }:
		e.Err = wrapped.Unwrap()
	case interface{ Unwrap() []error }:
		e.Err = errors.Join(wrapped.Unwrap()...)
	}
	return e
}

// WithHint returns the error with a hint for the reader.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes [errors.Is] and [errors.As] see both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// KindOf returns the kind of an error, or nil when it has none. The outermost
// [Error] decides; a bare sentinel, a file system error and a deadline count
// as what they say. A cancelled context has no kind: it is the caller's wish.
func KindOf(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return kind
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotFound
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case errors.Is(err, fs.ErrPermission):
		return ErrPermission
	case errors.Is(err, context.DeadlineExceeded):
		return ErrUnavailable
	}
	return nil
}

// HintOf returns the first hint in an error's tree, or "".
func HintOf(err error) string {
	if e, ok := err.(*Error); ok && e.Hint != "" { //nolint:errorlint // each error of the tree is looked at
		return e.Hint
	}
	switch wrapped := err.(type) { //nolint:errorlint // each error of the tree is looked at
	case interface{ Unwrap() error }:
		return HintOf(wrapped.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range wrapped.Unwrap() {
			if hint := HintOf(err); hint != "" {
				return hint
			}
		}
	}
	return ""
}
