package main

import (
	"context"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/trackio-go/trackio/backends/s3"
	"github.com/trackio-go/trackio/backends/sqlite"
	"github.com/trackio-go/trackio/cmd/trackio/internal/cli"
	"github.com/trackio-go/trackio/plugin"
	"github.com/trackio-go/trackio/trackio"
)

// builtins are the backends that are part of this program. They run in
// processes of their own like all others.
func builtins() []plugin.Definition {
	return []plugin.Definition{
		plugin.Define(plugin.Info{
			Type: "sqlite", Version: version, Description: "the directory that Python Trackio reads and writes",
			Environment: sqlite.Environment(),
		}, sqlite.Open),
		plugin.Define(plugin.Info{
			Type: "s3", Version: version, Description: "a bucket, on S3 or any other object store",
			Environment: s3.Environment(),
		}, s3.Open),
	}
}

// storage opens backends through the plugin host.
type storage struct{}

// pick reads the configuration and picks the backend.
func pick(sel cli.Selection) (*plugin.Config, *plugin.Block, error) {
	config, err := load(sel)
	if err != nil {
		return nil, nil, err
	}
	block, err := config.Select(sel.Backend)
	return config, block, err
}

func load(sel cli.Selection) (*plugin.Config, error) {
	path, err := plugin.FindConfig(sel.Config, os.Getenv)
	if err != nil {
		return nil, err
	}
	return plugin.LoadConfig(path)
}

func host(sel cli.Selection) *plugin.Host {
	h := &plugin.Host{Builtins: builtins()}
	level := hclog.LevelFromString(os.Getenv("TRACKIO_LOG"))
	switch {
	case sel.Verbose > 1:
		level = hclog.Debug
	case sel.Verbose == 1:
		level = hclog.Info
	case level == hclog.NoLevel:
		level = hclog.Error
	}
	h.Logger = hclog.New(&hclog.LoggerOptions{Name: "trackio", Level: level, Output: os.Stderr})
	return h
}

func (storage) Open(ctx context.Context, sel cli.Selection) (trackio.Backend, error) {
	config, block, err := pick(sel)
	if err != nil {
		return nil, err
	}
	h := host(sel)
	h.Logger.Info("opening backend", "name", block.Name, "type", block.Type, "config", config.Path)
	client, err := h.Open(ctx, config, block)
	if err != nil {
		return nil, err
	}
	return client, nil
}

func (storage) Config(_ context.Context, sel cli.Selection) (cli.Config, error) {
	config, err := load(sel)
	if err != nil {
		return cli.Config{}, err
	}
	c := cli.Config{Path: config.Path, Default: config.Default}
	for _, block := range config.Blocks {
		b := cli.BackendBlock{Type: block.Type, Name: block.Name}
		if config.Path != "" {
			b.At = block.Range()
		}
		c.Backends = append(c.Backends, b)
	}
	return c, nil
}

func (storage) Try(ctx context.Context, sel cli.Selection) ([]cli.Setting, error) {
	config, block, err := pick(sel)
	if err != nil {
		return nil, err
	}
	h := host(sel)
	client, err := h.Open(ctx, config, block)
	if err != nil {
		known, checkErr := h.Check(ctx, config, block)
		if checkErr != nil {
			return nil, err
		}
		return settings(known), err
	}
	for _, listErr := range client.ListProjects(ctx) {
		err = listErr
		break
	}
	if closeErr := client.Close(); err == nil {
		err = closeErr
	}
	return settings(client.Settings()), err
}

func settings(known []plugin.Setting) []cli.Setting {
	var all []cli.Setting
	for _, s := range known {
		all = append(all, cli.Setting{Name: s.Name, Value: s.Value, Source: s.Source})
	}
	return all
}
