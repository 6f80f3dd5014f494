package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// build builds the program as it is released.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "trackio")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/trackio-go/trackio/cmd/trackio")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return program, nil
}

// outcome is what a command has printed and used.
type outcome struct {
	stdout []byte
	took   time.Duration
	peak   int64 // bytes of memory, of it or of one of its children; 0 where unknown
}

// trackio runs a command of the program on a directory, with an empty home.
func (b *bench) trackio(ctx context.Context, store string, args ...string) (outcome, error) {
	home, err := b.sub("home")
	if err != nil {
		return outcome{}, err
	}
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + os.TempDir(), "TRACKIO_DIR=" + store, "TZ=UTC", "PATH=" + os.Getenv("PATH"), "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	return runCommand(cmd)
}

func runCommand(cmd *exec.Cmd) (outcome, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	took, err := timed(cmd.Run)
	if err != nil {
		return outcome{}, fmt.Errorf("%v: %w\n%s", cmd.Args, err, stderr.Bytes())
	}
	return outcome{stdout.Bytes(), took, peak(cmd.ProcessState)}, nil
}
