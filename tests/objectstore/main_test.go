package objectstore

import (
	"os"
	"testing"

	"github.com/trackio-go/trackio/tests/servers"
)

// TestMain is also the worker of TestManyProcesses, which starts this program
// again.
func TestMain(m *testing.M) {
	if os.Getenv(workerKey) != "" {
		os.Exit(work())
	}
	code := m.Run()
	servers.StopAll()
	os.Exit(code)
}
