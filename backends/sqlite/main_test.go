package sqlite

import (
	"fmt"
	"os"
	"testing"

	"github.com/trackio-go/trackio/tests/servers"
	"github.com/trackio-go/trackio/trackio"
)

// TestMain turns this binary into a helper process when a test asks for one.
func TestMain(m *testing.M) {
	becomeTraced()
	if name := os.Getenv("TRACKIO_SQLITE_TEST_HELPER"); name != "" {
		helper, ok := helpers()[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such helper:", name)
			os.Exit(2)
		}
		if err := helper(os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n", trackio.KindOf(err), err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	servers.StopAll()
	os.Exit(code)
}

// helpers are what this binary does as another process.
func helpers() map[string]func(args []string) error {
	return map[string]func(args []string) error{
		"write":         writeRows,
		"lock-file":     lockFileHelper,
		"change":        func(args []string) error { return changeEverything(args[0], os.Stdout) },
		"move-big":      func(args []string) error { return moveBig(args[0]) },
		"delete-forced": func(args []string) error { return deleteForced(args[0]) },
		"move-spilling": func(args []string) error { return moveSpilling(args[0]) },
		"move":          func(args []string) error { return moveOnly(args[0], os.Stdout) },
		"read":          func(args []string) error { return readEverything(args[0], os.Stdout) },
	}
}
