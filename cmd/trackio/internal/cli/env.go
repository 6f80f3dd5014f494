// Package cli is the command line of trackio: its grammar, its output and its
// exit codes. It reaches storages only through [Storage], so every command can
// be run in process against any backend.
package cli

import (
	"context"
	"io"
	"time"

	"github.com/trackio-go/trackio/trackio"
)

// Env is everything a command sees of the world.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	// StdinTTY and its like say what is a terminal: only there are questions
	// asked, and only there is colour used.
	StdinTTY, StdoutTTY, StderrTTY bool
	// Width is the width of the terminal on stdout, 0 when it is none.
	Width int

	Getenv func(string) string
	Now    func() time.Time
	Zone   *time.Location // of the times in tables

	Storage Storage
	Version Version
}

// Selection says which backend a command works on and how much is logged.
type Selection struct {
	Backend string // name of the backend block; "" for the default
	Config  string // path of the configuration file; "" for the usual places
	Verbose int    // how often -v was given
}

// Storage finds and opens configured backends.
type Storage interface {
	// Open opens the selected backend.
	Open(ctx context.Context, sel Selection) (trackio.Backend, error)
	// Config reads and checks the configuration without opening a backend.
	Config(ctx context.Context, sel Selection) (Config, error)
	// Try starts one backend of the configuration, configures it, asks for its
	// projects and ends it. It returns where its settings come from as far as
	// they are known, also together with an error.
	Try(ctx context.Context, sel Selection) ([]Setting, error)
}

// Config is a configuration in the words of the command line.
type Config struct {
	Path     string // the file; "" when there is none and the built-in defaults hold
	Default  string // name of the default backend
	Backends []BackendBlock
}

// BackendBlock is one configured backend.
type BackendBlock struct {
	Type string
	Name string
	At   string // file:line of the block; "" when it is built in
}

// Setting is one value of a backend's configuration and where it comes from.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Version says which program this is.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}
