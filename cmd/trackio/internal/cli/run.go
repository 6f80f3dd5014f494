package cli

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// app is one run of the program.
type app struct {
	env     *Env
	sel     Selection
	noColor bool

	// out holds back what goes to stdout, so that a command that fails early
	// has printed nothing there.
	out     *bufio.Writer
	talking sync.Mutex // stderr: notes may come from several goroutines
	started bool       // the command line was understood, the command has begun
}

// Run executes one command line and returns the exit code. It ends when ctx is
// cancelled.
func Run(ctx context.Context, env *Env, args []string) int {
	a := &app{env: env, out: bufio.NewWriterSize(env.Stdout, 64<<10)}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(a.out)
	root.SetErr(env.Stderr)

	ended := a.explainWait(ctx)
	ctx = trackio.WithNotes(ctx, func(note string) { a.say("note:", "%s", note) })
	cmd, err := root.ExecuteContextC(ctx)
	ended()
	if err == nil {
		err = a.out.Flush()
	} else if !a.started && trackio.KindOf(err) == nil {
		err = usageError(cmd, err)
	}
	code := exitCode(ctx, err)
	report(env.Stderr, a.errPaint(), code, err)
	return code
}

// waitUnseen is how long an interrupted command may go on without a word.
const waitUnseen = 250 * time.Millisecond

// explainWait says why a command goes on after it was interrupted, when that takes
// long enough to be noticed, until it has ended.
func (a *app) explainWait(ctx context.Context) (ended func()) {
	end, said := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		select {
		case <-time.After(waitUnseen):
			a.say("", "Interrupted. What was begun is being finished or undone; a second interrupt ends at once and leaves that to the next change.")
		case <-end:
		}
	})
	return func() {
		close(end)
		if !stop() {
			<-said
		}
	}
}

// begin wraps the function of a command.
func (a *app) begin(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return run(cmd.Context(), args)
	}
}

// onBackend wraps the function of a command that works on a backend.
func (a *app) onBackend(run func(ctx context.Context, b trackio.Backend) error) func(*cobra.Command, []string) error {
	return a.begin(func(ctx context.Context, _ []string) error {
		b, err := a.env.Storage.Open(ctx, a.selection())
		if err != nil {
			return err
		}
		err = run(ctx, b)
		if closeErr := b.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

// selection fills in what the environment says where no flag does.
func (a *app) selection() Selection {
	sel := a.sel
	if sel.Backend == "" {
		sel.Backend = a.env.Getenv("TRACKIO_BACKEND")
	}
	if sel.Config == "" {
		sel.Config = a.env.Getenv("TRACKIO_CONFIG")
	}
	return sel
}

// say prints one line of talk on stderr.
func (a *app) say(prefix, format string, args ...any) {
	a.talking.Lock()
	defer a.talking.Unlock()
	if prefix != "" {
		prefix = a.errPaint().dim(prefix) + " "
	}
	fmt.Fprintf(a.env.Stderr, "%s%s\n", prefix, cleanText(fmt.Sprintf(format, args...)))
}

func (a *app) warn(format string, args ...any) { a.say("warning:", format, args...) }

func (a *app) colour(tty bool) painter {
	return painter(tty && !a.noColor && a.env.Getenv("NO_COLOR") == "" && a.env.Getenv("TERM") != "dumb")
}

func (a *app) paint() painter    { return a.colour(a.env.StdoutTTY) }
func (a *app) errPaint() painter { return a.colour(a.env.StderrTTY) }

// json begins a JSON object on stdout.
func (a *app) json() *jsonObject { return &jsonObject{out: a.out} }

// table begins a table on stdout. Column flex is cut when a terminal is too
// narrow; numbers are aligned to the right.
func (a *app) table(flex int, right []int, header ...string) *table {
	t := &table{out: a.out, paint: a.paint(), limit: a.env.Width, flex: flex, header: header, right: map[int]bool{}}
	for _, i := range right {
		t.right[i] = true
	}
	return t
}

// linef prints one line on stdout.
func (a *app) linef(format string, args ...any) {
	fmt.Fprintf(a.out, format+"\n", args...) // the error stays in out until it is flushed
}
