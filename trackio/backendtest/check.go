package backendtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Opener opens a backend. Called twice it opens the same storage twice, as two
// processes would. A storage that cannot be opened twice at the same time returns
// [errors.ErrUnsupported] the second time, and one handle then plays both parts.
type Opener func(ctx context.Context) (trackio.Backend, error)

// Check is one thing that a backend promises.
type Check struct {
	Name string // area/what, such as "delete/if-revision"
	Why  string // the sentence of the documentation that it rests on
	Run  func(ctx context.Context, e *Env) error
}

// Checks returns all checks, the simplest first.
func Checks() []Check {
	return slices.Concat(
		listChecks(), unknownChecks(), streamChecks(), hintChecks(), mediaChecks(),
		importChecks(), brokenStreamChecks(), deleteChecks(), revisionChecks(), liveChecks(),
		nameChecks(), moveChecks(), renameChecks(), bulkChecks(), alertChecks(), summaryChecks(), projectChecks(), collectChecks(), transferChecks(),
		iteratorChecks(), closeChecks(), concurrencyChecks(),
	)
}

// Options says how [Run] goes about it. The zero value runs every check.
type Options struct {
	Match   func(name string) bool // nil for all checks
	Timeout time.Duration          // for one check; 0 for a minute
	Fresh   bool                   // the storage is empty and nobody minds what is left in it
	Report  func(Result)           // called after each check; may be nil
}

// Result is the outcome of one check.
type Result struct {
	Check         Check
	Err           error  // nil when the promise is kept, or does not apply
	NotApplicable string // why it does not apply: an optional capability that is absent
	Took          time.Duration
}

// Run runs the checks one after the other on one storage.
func Run(ctx context.Context, open Opener, opts Options) []Result {
	var results []Result
	for _, check := range Checks() {
		if opts.Match != nil && !opts.Match(check.Name) {
			continue
		}
		result := runCheck(ctx, check, open, opts)
		if opts.Report != nil {
			opts.Report(result)
		}
		results = append(results, result)
	}
	return results
}

// grace is how long a check may overstay its deadline before it counts as hung.
const grace = 15 * time.Second

func runCheck(ctx context.Context, check Check, open Opener, opts Options) Result {
	timeout := opts.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	start := time.Now()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- runOpened(ctx, check, open, opts.Fresh)
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(timeout + grace):
		err = fmt.Errorf("a call did not return, %s after its context had ended", grace)
	}
	result := Result{Check: check, Took: time.Since(start)}
	if na, ok := errors.AsType[notApplicable](err); ok {
		result.NotApplicable = string(na)
	} else {
		result.Err = err
	}
	return result
}

func runOpened(ctx context.Context, check Check, open Opener, fresh bool) error {
	e := newEnv(open, fresh)
	b, err := open(ctx)
	if err != nil {
		return fmt.Errorf("cannot open the storage: %w", err)
	}
	e.Backend = b
	return errors.Join(check.Run(ctx, e), e.finish())
}

// notApplicable is returned by a check of an optional capability that the
// backend does not have.
type notApplicable string

func (n notApplicable) Error() string { return string(n) }

// capability returns an optional capability, or that the check does not apply.
func capability[C any](e *Env) (C, error) {
	c, ok := trackio.As[C](e.Backend)
	if !ok {
		return c, notApplicable("the backend is no " + reflect.TypeFor[C]().Name())
	}
	return c, nil
}
