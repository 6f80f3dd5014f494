//go:build !linux

package servers

import "os/exec"

// startTied starts a program; it is ended by StopAll.
func startTied(cmd *exec.Cmd) error { return cmd.Start() }
