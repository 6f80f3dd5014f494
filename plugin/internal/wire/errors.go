package wire

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// errorTable pairs the kinds of errors with the codes that stand for them. The
// first line of a kind is the code that is sent, every line is understood.
var errorTable = [...]struct {
	err  error
	kind backendv1.ErrorKind
	code codes.Code
}{
	{trackio.ErrNotFound, backendv1.ErrorKind_ERROR_KIND_NOT_FOUND, codes.NotFound},
	{trackio.ErrExists, backendv1.ErrorKind_ERROR_KIND_EXISTS, codes.AlreadyExists},
	{trackio.ErrConflict, backendv1.ErrorKind_ERROR_KIND_CONFLICT, codes.Aborted},
	{trackio.ErrConflict, backendv1.ErrorKind_ERROR_KIND_CONFLICT, codes.FailedPrecondition},
	{trackio.ErrInvalid, backendv1.ErrorKind_ERROR_KIND_INVALID, codes.InvalidArgument},
	{trackio.ErrInvalid, backendv1.ErrorKind_ERROR_KIND_INVALID, codes.OutOfRange},
	{trackio.ErrPermission, backendv1.ErrorKind_ERROR_KIND_PERMISSION, codes.PermissionDenied},
	{trackio.ErrPermission, backendv1.ErrorKind_ERROR_KIND_PERMISSION, codes.Unauthenticated},
	{trackio.ErrUnavailable, backendv1.ErrorKind_ERROR_KIND_UNAVAILABLE, codes.Unavailable},
	{trackio.ErrUnavailable, backendv1.ErrorKind_ERROR_KIND_UNAVAILABLE, codes.ResourceExhausted},
	{trackio.ErrDataLoss, backendv1.ErrorKind_ERROR_KIND_DATA_LOSS, codes.DataLoss},
	{errors.ErrUnsupported, backendv1.ErrorKind_ERROR_KIND_UNSUPPORTED, codes.Unimplemented},
	// A backend that is itself a host of backends can only say that it lost one.
	{trackio.ErrBackendDied, backendv1.ErrorKind_ERROR_KIND_UNAVAILABLE, codes.Unavailable},
}

// ErrorKind returns what stands for the kind of an error in a message.
func ErrorKind(err error) backendv1.ErrorKind {
	kind, _ := encodeKind(err)
	return kind
}

func encodeKind(err error) (backendv1.ErrorKind, codes.Code) {
	if kind := trackio.KindOf(err); kind != nil {
		for _, line := range errorTable {
			if errors.Is(kind, line.err) {
				return line.kind, line.code
			}
		}
	}
	return backendv1.ErrorKind_ERROR_KIND_UNSPECIFIED, codes.Unknown
}

// KindError returns the kind of errors that a message names, nil for none.
func KindError(kind backendv1.ErrorKind) error {
	for _, line := range errorTable {
		if line.kind == kind {
			return line.err
		}
	}
	return nil
}

func kindOfCode(code codes.Code) error {
	for _, line := range errorTable {
		if line.code == code {
			return line.err
		}
	}
	return nil
}

// maxText is the longest message or hint that is passed on. The transport breaks
// the whole connection when the end of a call is too large.
const maxText = 64 << 10

// sendable makes a text fit for the end of a call.
func sendable(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// encodeError turns an error of a backend into a status. The end of a context
// decides the code, since it may be the caller's wish; the kind that the error
// has beside it is in the detail, for a caller who did not wish it.
func encodeError(err error) error {
	if err == nil {
		return nil
	}
	kind, code := encodeKind(err)
	switch {
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	st := status.New(code, sendable(err.Error(), maxText))
	detail := &backendv1.ErrorDetail{Kind: kind, Hint: sendable(trackio.HintOf(err), maxText)}
	if with, detailErr := st.WithDetails(detail); detailErr == nil {
		st = with
	}
	return st.Err()
}

// decodeError turns a status back into an error. The code decides the kind, a
// detail may refine it. ctx is that of the caller: an end that the caller
// wanted is the error of its context.
func decodeError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	code := st.Code()
	switch code {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		if gaveUp := callerGaveUp(ctx, code); gaveUp != nil {
			return gaveUp
		}
	}
	kind, hint := kindOfCode(code), ""
	if detail := detailOf(st); detail != nil {
		hint = detail.GetHint()
		if refined := KindError(detail.GetKind()); refined != nil {
			kind = refined
		}
	}
	switch {
	case kind == nil && code == codes.DeadlineExceeded:
		return trackio.Errorf(trackio.ErrUnavailable, "%s", messageOf(st))
	case kind == nil && code == codes.Canceled:
		return trackio.Errorf(trackio.ErrUnavailable, "the backend gave up: %s", messageOf(st))
	case kind == nil:
		return errors.New(messageOf(st))
	}
	return &trackio.Error{Kind: kind, Message: messageOf(st), Hint: hint}
}

// callerGaveUp returns the error of the caller's context. The other side has the
// same deadline and may be a moment ahead with it.
func callerGaveUp(ctx context.Context, code codes.Code) error {
	const moment = 50 * time.Millisecond
	deadline, ok := ctx.Deadline()
	if ok && code != codes.Unavailable && time.Until(deadline) < moment {
		<-ctx.Done()
	}
	return ctx.Err()
}

// fromBackend reports whether the backend itself made this status, and not the
// transport.
func fromBackend(err error) bool {
	st, ok := status.FromError(err)
	return ok && detailOf(st) != nil
}

func detailOf(st *status.Status) *backendv1.ErrorDetail {
	for _, detail := range st.Details() {
		if d, ok := detail.(*backendv1.ErrorDetail); ok {
			return d
		}
	}
	return nil
}

func messageOf(st *status.Status) string {
	if st.Message() == "" {
		return "the backend failed with " + st.Code().String()
	}
	return st.Message()
}
