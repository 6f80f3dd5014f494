package trackio_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/trackio-go/trackio/trackio"
)

func TestKindOf(t *testing.T) {
	notFound := trackio.Errorf(trackio.ErrNotFound, "no run %q", "x")
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"nil", nil, nil},
		{"an error of its kind", notFound, trackio.ErrNotFound},
		{"wrapped by fmt", fmt.Errorf("listing: %w", notFound), trackio.ErrNotFound},
		{"joined", errors.Join(errors.New("other"), notFound), trackio.ErrNotFound},
		{"the outermost decides", trackio.Errorf(trackio.ErrConflict, "moving: %w", notFound), trackio.ErrConflict},
		{"a bare sentinel", trackio.ErrBackendDied, trackio.ErrBackendDied},
		{"a wrapped sentinel", fmt.Errorf("x: %w", trackio.ErrDataLoss), trackio.ErrDataLoss},
		{"unsupported", fmt.Errorf("x: %w", errors.ErrUnsupported), errors.ErrUnsupported},
		{"a file that is not there", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, trackio.ErrNotFound},
		{"a file that is there", fs.ErrExist, trackio.ErrExists},
		{"a file that is locked up", fs.ErrPermission, trackio.ErrPermission},
		{"a deadline", context.DeadlineExceeded, trackio.ErrUnavailable},
		{"a cancelled context", context.Canceled, nil},
		{"anything else", errors.New("x"), nil},
	} {
		if got := trackio.KindOf(c.err); got != c.want {
			t.Errorf("%s: KindOf(%v) = %v, want %v", c.name, c.err, got, c.want)
		}
	}
}

func TestErrorf(t *testing.T) {
	cause := &fs.PathError{Op: "open", Path: "a.db", Err: fs.ErrPermission}
	err := error(trackio.Errorf(trackio.ErrUnavailable, "cannot list %q: %w", "p", cause).WithHint("look at %s", "a.db"))
	if got, want := err.Error(), `cannot list "p": open a.db: permission denied`; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if !errors.Is(err, trackio.ErrUnavailable) || !errors.Is(err, fs.ErrPermission) || errors.Is(err, trackio.ErrNotFound) {
		t.Errorf("%v: errors.Is must see the kind and the cause, and no other kind", err)
	}
	var path *fs.PathError
	if !errors.As(err, &path) || path.Path != "a.db" {
		t.Errorf("%v: errors.As does not see the cause", err)
	}
	if bare := trackio.Errorf(trackio.ErrExists, "x"); bare.Err != nil || !errors.Is(bare, trackio.ErrExists) {
		t.Errorf("an error without a cause: %#v", bare)
	}
}

func TestHintOf(t *testing.T) {
	inner := trackio.Errorf(trackio.ErrNotFound, "inner").WithHint("the inner hint")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"nil", nil, ""},
		{"no hint", trackio.Errorf(trackio.ErrInvalid, "x"), ""},
		{"its own", inner, "the inner hint"},
		{"wrapped by fmt", fmt.Errorf("x: %w", inner), "the inner hint"},
		{"of the cause", trackio.Errorf(trackio.ErrConflict, "x: %w", inner), "the inner hint"},
		{"the outermost first", trackio.Errorf(trackio.ErrConflict, "x: %w", inner).WithHint("the outer hint"), "the outer hint"},
	} {
		if got := trackio.HintOf(c.err); got != c.want {
			t.Errorf("%s: HintOf = %q, want %q", c.name, got, c.want)
		}
	}
	if again := inner.WithHint("another"); inner.Hint != "the inner hint" || again.Hint != "another" {
		t.Errorf("WithHint changes the error it is called on: %q, %q", inner.Hint, again.Hint)
	}
}

func TestErrorfKeepsEveryCause(t *testing.T) {
	one, two := errors.New("one"), trackio.Errorf(trackio.ErrExists, "two").WithHint("way out")
	err := trackio.Errorf(trackio.ErrConflict, "both: %w and %w", one, two)
	if !errors.Is(err, one) || !errors.Is(err, two) || err.Error() != "both: one and two" || trackio.KindOf(err) != trackio.ErrConflict {
		t.Errorf("%v of kind %v", err, trackio.KindOf(err))
	}
	if hint := trackio.HintOf(errors.Join(one, err)); hint != "way out" {
		t.Errorf("hint %q", hint)
	}
}
