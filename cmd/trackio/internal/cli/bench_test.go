package cli

import (
	"bytes"
	"context"
	"testing"
)

// BenchmarkVersion is what a command costs before it does anything.
func BenchmarkVersion(b *testing.B) {
	env := Env{Getenv: func(string) string { return "" }}
	for b.Loop() {
		var out bytes.Buffer
		env.Stdout, env.Stderr = &out, &out
		if code := Run(context.Background(), &env, []string{"version"}); code != 0 {
			b.Fatal(out.String())
		}
	}
}
