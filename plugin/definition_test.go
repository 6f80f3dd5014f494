package plugin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

type loop struct {
	Name  string `trackio:"name"`
	Inner []loop `trackio:"inner"`
}

// defined returns what Define panics with for a configuration, "" for nothing.
func defined[C any](backendType string) (message string) {
	defer func() {
		if r := recover(); r != nil {
			message = r.(string)
		}
	}()
	Define(Info{Type: backendType}, func(context.Context, C) (trackio.Backend, error) { return memory.New(), nil })
	return ""
}

func TestDefineFindsMistakes(t *testing.T) {
	for want, got := range map[string]string{
		"Bad Type is not a usable type": defined[struct{}]("Bad Type"),
		"is a struct, not int":          defined[int]("a"),
		`"env" has a meaning`: defined[struct {
			A string `trackio:"env"`
		}]("a"),
		`"" is not the name`: defined[struct {
			A string `trackio:",required"`
		}]("a"),
		`"a-b" is not the name`: defined[struct {
			A string `trackio:"a-b"`
		}]("a"),
		`there are two "a"`: defined[struct {
			A string `trackio:"a"`
			B string `trackio:"a"`
		}]("a"),
		"a path is a string": defined[struct {
			A []string `trackio:"a,path"`
		}]("a"),
		`unknown tag option "secret"`: defined[struct {
			A string `trackio:"a,secret"`
		}]("a"),
		`unknown tag option "sensitive" for a block`: defined[struct {
			A testAuth `trackio:"a,sensitive"`
		}]("a"),
		"time.Time, which has no attributes": defined[struct {
			A time.Time `trackio:"a"`
		}]("a"),
		"cannot hold a uint8": defined[struct {
			A uint8 `trackio:"a"`
		}]("a"),
		"default: a must be a duration": defined[struct {
			A time.Duration `trackio:"a" default:"soon"`
		}]("a"),
		"default: a must be a number": defined[struct {
			A int `trackio:"a" default:"many"`
		}]("a"),
		"is a block of itself": defined[loop]("a"),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestVariablesThatABackendAsksFor(t *testing.T) {
	for pattern, want := range map[string]bool{
		"AWS_KEY": true, "AWS_*": true, "A*": true, "AWS_": false, "AWS": false, "AWS_KEY*": true,
		"*": false, "**": false, "*KEY": false, "?*": false, "[A-Z]*": false, "[!_]*": false, "A*Y": false, "": false, "AWS_KEY=": false,
	} {
		if got := named([]string{pattern}, "AWS_KEY"); got != want {
			t.Errorf("%q gets AWS_KEY: %v", pattern, got)
		}
	}
}
