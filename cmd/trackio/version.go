package main

import (
	"runtime"
	"runtime/debug"

	"github.com/trackio-go/trackio/cmd/trackio/internal/cli"
)

// version is the version of a released program, set by the linker.
var version = ""

// buildVersion says what this program was built from, as far as the build knows.
func buildVersion() cli.Version {
	v := cli.Version{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if ok && v.Version == "" {
		v.Version = info.Main.Version
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "development"
	}
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}
