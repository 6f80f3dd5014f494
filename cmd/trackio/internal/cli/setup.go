package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trackio-go/trackio/trackio"
)

// backendJSON is a configured backend in JSON.
type backendJSON struct {
	Name      string    `json:"name"`
	Type      string    `json:"type"`
	Default   bool      `json:"default"`
	DefinedAt *string   `json:"defined_at"`
	Opens     bool      `json:"opens"`
	Error     *string   `json:"error"`
	Settings  []Setting `json:"settings"`
}

func (a *app) backendsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "backends",
		Short:   "Show the configured backends, their settings and whether they open",
		Example: "  trackio backends\n  trackio backends --json",
		Args:    noArgs,
		RunE: a.begin(func(ctx context.Context, _ []string) error {
			config, err := a.env.Storage.Config(ctx, a.selection())
			if err != nil {
				return err
			}
			tried, err := a.tryBackends(ctx, config)
			if err != nil {
				return err
			}
			if asJSON {
				o := a.json()
				o.field("config", nullable(config.Path))
				o.field("default", config.Default)
				o.field("backends", nonNil(tried))
				return o.end()
			}
			a.printBackends(config, tried)
			return nil
		}),
	}
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// tryBackends opens the backends one after the other. One that does not open is
// shown with its error; only an interruption ends the command.
func (a *app) tryBackends(ctx context.Context, config Config) ([]backendJSON, error) {
	var tried []backendJSON
	for _, block := range config.Backends {
		if wanted := a.selection().Backend; wanted != "" && wanted != block.Name {
			continue
		}
		sel := a.selection()
		sel.Backend = block.Name
		settings, err := a.env.Storage.Try(ctx, sel)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		b := backendJSON{
			Name: block.Name, Type: block.Type, Default: block.Name == config.Default,
			DefinedAt: nullable(block.At), Opens: err == nil, Settings: nonNil(settings),
		}
		if err != nil {
			message := err.Error()
			b.Error = &message
		}
		tried = append(tried, b)
	}
	return tried, nil
}

func (a *app) printBackends(config Config, tried []backendJSON) {
	if config.Path == "" {
		a.linef("No configuration file: the built-in default holds.")
	} else {
		a.linef("Configuration: %s", clean(config.Path))
	}
	for _, b := range tried {
		a.linef("")
		mark := ""
		if b.Default {
			mark = ", the default"
		}
		a.linef("%s (%s%s)", a.paint().bold(clean(b.Name)), clean(b.Type), mark)
		for _, s := range b.Settings {
			if s.Source == "" {
				a.linef("  %s  %s", clean(s.Name), a.paint().dim("not set: the backend's own default"))
				continue
			}
			a.linef("  %s = %s  %s", clean(s.Name), clean(s.Value), a.paint().dim("from "+clean(s.Source)))
		}
		if b.Opens {
			a.linef("  opens")
		} else {
			a.linef("  %s %s", a.paint().bad("does not open:"), cleanText(*b.Error))
		}
	}
}

func (a *app) configCommand() *cobra.Command {
	cmd := a.group("config", "Check the configuration")
	cmd.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Check the configuration file and the settings of every backend",
		Long: `Check the configuration: the file, and each backend with its own schema. A
mistake is shown with its file, its line and an excerpt; a storage that cannot
be reached now is only a warning.

The file is, in this order: --config, TRACKIO_CONFIG, trackio/config.hcl in the
user's configuration directory. Without one, the local Trackio directory is used.`,
		Example: "  trackio config check\n  trackio config check --config ./trackio.hcl",
		Args:    noArgs,
		RunE: a.begin(func(ctx context.Context, _ []string) error {
			config, err := a.env.Storage.Config(ctx, a.selection())
			if err != nil {
				return err
			}
			var wrong error
			for _, block := range config.Backends {
				sel := a.selection()
				sel.Backend = block.Name
				_, err := a.env.Storage.Try(ctx, sel)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				switch kind := trackio.KindOf(err); {
				case err == nil:
					a.linef("opens  %s (%s)", clean(block.Name), clean(block.Type))
				case kind == trackio.ErrUnavailable, kind == trackio.ErrPermission, kind == trackio.ErrNotFound, kind == trackio.ErrConflict:
					a.linef("valid  %s (%s)", clean(block.Name), clean(block.Type))
					a.warn("backend %q does not open now: %v", block.Name, err)
					if hint := trackio.HintOf(err); hint != "" {
						a.say("hint:", "%s", hint)
					}
				default: // the others may have mistakes too
					report(a.env.Stderr, a.errPaint(), exitOther, err)
					if wrong == nil {
						wrong = fmt.Errorf("%w: %w", errReported, err)
					}
				}
			}
			if wrong != nil {
				return wrong
			}
			where := "the built-in default"
			if config.Path != "" {
				where = config.Path
			}
			byDefault := "no default: commands need --backend"
			if config.Default != "" {
				byDefault = "default " + config.Default
			}
			a.linef("The configuration is right: %s in %s, %s.",
				plural(len(config.Backends), "backend"), clean(where), clean(byDefault))
			return nil
		}),
	})
	return cmd
}
