// Trackio manages the experiment runs of Trackio on any storage. See
// "trackio --help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/trackio-go/trackio/cmd/trackio/internal/cli"
	"github.com/trackio-go/trackio/plugin"
)

func main() {
	if plugin.ServeBuiltin(os.Args, builtins()) {
		return
	}
	os.Exit(run())
}

func run() int {
	ctx, stop := interruptible()
	defer stop()
	width := 0
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		width = w
	}
	return cli.Run(ctx, &cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		StdinTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		StdoutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Width:     width,
		Getenv:    os.Getenv,
		Now:       time.Now,
		Zone:      time.Local,
		Storage:   storage{},
		Version:   buildVersion(),
	}, os.Args[1:])
}

// interruptible returns a context that the first SIGINT or SIGTERM cancels, so
// that a call under way ends in order; the second ends the program at once. A
// reader of stdout that goes away becomes an error of writing, not a signal.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		<-interrupts
		cancel()
		<-interrupts
		os.Exit(130)
	}()
	return ctx, cancel
}
