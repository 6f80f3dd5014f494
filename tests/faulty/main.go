// Trackio-backend-faulty is a third-party backend that fails on purpose, for
// the tests: its attribute says how.
package main

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/memory"
)

type config struct {
	Fault string `trackio:"fault,required" help:"what goes wrong when projects are listed"`
	Token string `trackio:"token,sensitive" help:"a secret"`
	Scrap string `trackio:"scrap,path" help:"a directory whose files no run refers to; without it there is no gc"`
}

var kinds = map[string]error{
	"other": errors.New("other"), "invalid": trackio.ErrInvalid, "notfound": trackio.ErrNotFound,
	"exists": trackio.ErrExists, "conflict": trackio.ErrConflict, "permission": trackio.ErrPermission,
	"unavailable": trackio.ErrUnavailable, "dataloss": trackio.ErrDataLoss, "unsupported": errors.ErrUnsupported,
}

type faulty struct {
	trackio.Backend
	fault string
}

func (f faulty) ListProjects(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		switch f.fault {
		case "none":
			yield("fine", nil)
		case "die":
			os.Exit(3)
		case "hang":
			select {
			case <-ctx.Done():
				yield("", ctx.Err())
			case <-time.After(time.Minute):
				yield("", errors.New("nobody interrupted me"))
			}
		default:
			yield("", trackio.Errorf(kinds[f.fault], "the fault %s", f.fault).WithHint("a hint for %s", f.fault))
		}
	}
}

// badFault is an error about the attribute fault.
type badFault struct{ error }

func (b badFault) Unwrap() error         { return b.error }
func (badFault) ConfigAttribute() string { return "fault" }

func main() {
	plugin.Serve(plugin.Define(
		plugin.Info{Type: "faulty", Version: "1.0.0", Description: "a backend that fails on purpose"},
		func(_ context.Context, cfg config) (trackio.Backend, error) {
			if _, ok := kinds[cfg.Fault]; !ok && cfg.Fault != "none" && cfg.Fault != "die" && cfg.Fault != "hang" {
				return nil, badFault{trackio.Errorf(trackio.ErrInvalid, "there is no fault %q", cfg.Fault)}
			}
			b := faulty{memory.New(), cfg.Fault}
			if cfg.Scrap == "" {
				return b, nil
			}
			return collecting{b, cfg.Scrap}, nil
		},
	))
}
