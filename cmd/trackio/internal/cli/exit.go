package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/trackio-go/trackio/trackio"
)

// exitCodes is the table that --help shows. The first row that fits decides.
var exitCodes = []struct {
	code  int
	kinds []error
	text  string
}{
	{0, nil, "done"},
	{1, nil, "any other error"},
	{2, []error{trackio.ErrInvalid}, "wrong usage, or an invalid request or configuration"},
	{3, []error{trackio.ErrNotFound}, "project, run, metric or file not found"},
	{4, []error{trackio.ErrExists}, "already exists"},
	{5, []error{trackio.ErrConflict}, "conflict: changed meanwhile, or the run is still written to"},
	{6, []error{trackio.ErrPermission}, "permission denied"},
	{7, []error{trackio.ErrUnavailable}, "storage not available at the moment"},
	{8, []error{trackio.ErrDataLoss}, "stored data is damaged or incomplete"},
	{9, []error{errors.ErrUnsupported}, "not supported here"},
	{10, []error{trackio.ErrBackendDied}, "the process of the backend died"},
	{130, nil, "interrupted"},
}

const (
	exitOther       = 1
	exitInterrupted = 130
)

// exitCode returns the code that an error ends the program with.
func exitCode(ctx context.Context, err error) int {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	kind := trackio.KindOf(err)
	for _, row := range exitCodes {
		for _, k := range row.kinds {
			if kind == k {
				return row.code
			}
		}
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitOther
}

// exitTable returns the table of exit codes for the help text.
func exitTable() string {
	var b strings.Builder
	for _, row := range exitCodes {
		fmt.Fprintf(&b, "  %-4d %s\n", row.code, row.text)
	}
	return strings.TrimRight(b.String(), "\n")
}

// errReported marks an error that is on stderr already.
var errReported = errors.New("reported already")

// report prints an error for a person: what happened, then the way out.
func report(w io.Writer, paint painter, code int, err error) {
	if code == 0 || errors.Is(err, errReported) {
		return
	}
	message := err.Error()
	if code == exitInterrupted {
		message = "interrupted"
	}
	fmt.Fprintf(w, "%s %s\n", paint.bad("error:"), cleanText(message))
	if hint := trackio.HintOf(err); hint != "" && code != exitInterrupted {
		fmt.Fprintf(w, "%s %s\n", paint.dim("hint:"), cleanText(hint))
	}
}
