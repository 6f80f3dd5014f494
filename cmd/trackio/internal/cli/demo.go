package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// demoConfig is the configuration of the demo: a directory beside the file.
const demoConfig = `default = "demo"

backend "sqlite" "demo" {
  dir = "runs"
}
`

func (a *app) demoCommand() *cobra.Command {
	var dir string
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what can be done, on a small project made for it",
		Long: `Fill a fresh temporary directory with a small project of runs, metrics, alerts
and images, and list, read, move and delete runs in it, each command printed
before its result. The directory is removed at the end, unless it is kept.
Your own runs are not touched.`,
		Example: "  trackio demo\n  trackio demo --dir ./trackio-demo",
		Args:    noArgs,
		RunE:    a.begin(func(ctx context.Context, _ []string) error { return a.demo(ctx, dir, keep) }),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "work in this new or empty `directory`, and keep it")
	_ = cmd.MarkFlagDirname("dir")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the temporary directory")
	return cmd
}

func (a *app) demo(ctx context.Context, dir string, keep bool) (err error) {
	keep = keep || dir != ""
	if dir, err = demoDir(dir); err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	config := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(config, []byte(demoConfig), 0o600); err != nil {
		return err
	}
	if err := a.fillDemo(ctx, config); err != nil {
		return err
	}
	a.linef("A small project of four training runs was written to %s.\n", clean(dir))
	a.linef("$ export TRACKIO_CONFIG=%s", shellWord(config))
	for _, step := range demoSteps() {
		if err := a.demoStep(ctx, config, step); err != nil {
			return err
		}
	}
	if keep {
		a.linef("\nThat is it; the directory is kept. Where to go on:")
		a.linef("  export TRACKIO_CONFIG=%s", shellWord(config))
		a.linef("                           with it, trackio works on these runs; without, on yours")
		a.linef("  TRACKIO_DIR=%s trackio show", shellWord(filepath.Join(dir, "runs")))
		a.linef("                           their dashboard, in the trackio that pip installs")
	} else {
		a.linef("\nThat is it; the directory is removed again. Where to go on:")
		a.linef("  trackio demo --keep      the same, to go on with by hand")
		a.linef("  trackio list projects    your own runs, where Python's trackio keeps them")
	}
	a.linef("  trackio backends         which storage that is, and why")
	a.linef("  trackio --help           all commands")
	return nil
}

// demoDir returns a directory of the demo's own.
func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "trackio-demo-")
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return "", trackio.Errorf(trackio.ErrExists, "directory %s is not empty", dir).
			WithHint("name a new directory: the demo touches nothing that is already there")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// fillDemo imports the demo's runs, the way every run enters a storage.
func (a *app) fillDemo(ctx context.Context, config string) (err error) {
	b, err := a.env.Storage.Open(ctx, Selection{Config: config, Verbose: a.sel.Verbose})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	runs, err := demoRuns(a.env.Now())
	if err != nil {
		return err
	}
	for _, run := range runs {
		if _, err := b.ImportRun(ctx, run.header.RunRef, run.records()); err != nil {
			return err
		}
	}
	return nil
}

// demoStep is one thing that the demo shows.
type demoStep struct {
	says string
	args []string
}

func demoSteps() []demoStep {
	in := func(says string, args ...string) demoStep { return demoStep{says, args} }
	return []demoStep{
		in("What is there?", "list", "projects"),
		in("Two runs have the same name, so their ids are shown.", "list", "runs", "--project", demoProject),
		in("", "get", "run", "--project", demoProject, "--run", "baseline"),
		in("A few steps of one metric; --json is for scripts.", "get", "metric", "--project", demoProject, "--run", "baseline", "--metric", "loss", "--around", "15", "--window", "2"),
		in("Everything that was logged at one step.", "get", "snapshot", "--project", demoProject, "--run", "baseline", "--step", "10"),
		in("", "get", "report", "--project", demoProject, "--run", "baseline", "--report", "notes"),
		in("One run went wrong.", "list", "alerts", "--project", demoProject),
		in("Move it away, with its images.", "move", "run", "--project", demoProject, "--run", "high lr", "--to", "archive"),
		in("", "get", "metric", "--project", "archive", "--run", "high lr", "--metric", "sample"),
		in("Delete the first of the two that share a name.", "delete", "run", "--project", demoProject, "--run-id", demoID("augmented", 1), "--yes"),
		in("", "list", "runs", "--project", demoProject),
	}
}

// demoStep runs one command as a person would, and prints it before its result.
func (a *app) demoStep(ctx context.Context, config string, step demoStep) error {
	a.linef("")
	if step.says != "" {
		a.linef("%s", a.paint().dim("# "+step.says))
	}
	words := make([]string, len(step.args))
	for i, arg := range step.args {
		words[i] = shellWord(arg)
	}
	a.linef("%s", a.paint().bold("$ trackio "+strings.Join(words, " ")))
	if err := a.out.Flush(); err != nil {
		return err
	}
	env := *a.env
	env.Getenv = func(key string) string {
		switch key {
		case "TRACKIO_CONFIG":
			return config
		case "TRACKIO_BACKEND":
			return ""
		}
		return a.env.Getenv(key)
	}
	args := step.args
	if a.noColor {
		args = append([]string{"--no-color"}, args...)
	}
	switch code := Run(ctx, &env, args); {
	case code == 0:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", errReported, ctx.Err())
	default:
		return fmt.Errorf("the demo stopped: its command ended with exit code %d", code)
	}
}
