package plugin

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"github.com/hashicorp/hcl/v2"
	"google.golang.org/grpc"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/plugin/internal/wire"
	"github.com/trackio-go/trackio/trackio"
)

// startTimeout is how long a program may take until it has said what it is.
const startTimeout = 10 * time.Second

// Host opens the backends of a configuration, each in a process of its own.
type Host struct {
	// Builtins are the backends that are part of this program. See
	// [ServeBuiltin]. A program found in a folder or on PATH never takes the
	// place of one; only a block that names its program does.
	Builtins []Definition
	// Logger gets the log lines of backends; nil for none. Its level is theirs.
	Logger hclog.Logger
	// Stderr gets what backends write to their standard error as it is; nil for
	// nobody. The last lines are part of the report when a backend dies.
	Stderr io.Writer
}

// Open starts the backend of a block and opens its storage. What is wrong with
// the configuration is [trackio.ErrInvalid], with file, line and excerpt, or the
// kind that the backend gave it. The caller closes the client.
func (h *Host) Open(ctx context.Context, cfg *Config, b *Block) (*Client, error) {
	c, config, err := h.start(ctx, cfg, b)
	if err != nil {
		return nil, err
	}
	if err := c.configure(ctx, cfg, config); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// Check starts the backend of a block, reads the configuration by its schema and
// returns the settings. The storage is not opened.
func (h *Host) Check(ctx context.Context, cfg *Config, b *Block) ([]Setting, error) {
	c, _, err := h.start(ctx, cfg, b)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	return c.Settings(), nil
}

// start starts the program of a block and reads its configuration.
func (h *Host) start(ctx context.Context, cfg *Config, b *Block) (*Client, []byte, error) {
	m, diags := cfg.meta(b)
	if diags.HasErrors() {
		return nil, nil, cfg.invalid(diags)
	}
	p, err := h.program(cfg, b, m)
	if err != nil {
		return nil, nil, err
	}
	c := &Client{block: b, meta: m, program: p.args[0]}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err = h.launch(ready, c, p); err == nil {
		err = c.describe(ready)
	}
	if err != nil {
		c.kill()
		return nil, nil, c.notStarted(ctx, ready, err)
	}
	config, err := c.read(cfg)
	if err != nil {
		c.kill()
		return nil, nil, err
	}
	return c, config, nil
}

// program decides what to start for a block.
func (h *Host) program(cfg *Config, b *Block, m meta) (program, error) {
	if m.plugin != "" {
		if info, err := os.Stat(m.plugin); err != nil || info.IsDir() {
			return program{}, cfg.invalid(hcl.Diagnostics{mistake(m.at, "No such program", m.plugin+" is not a file that can be started.")})
		}
		return program{path: m.plugin, args: []string{m.plugin}, sha256: m.sha256}, nil
	}
	for _, def := range h.Builtins {
		if def.Type() == b.Type {
			return selfProgram(b.Type)
		}
	}
	p, err := findProgram(b.Type)
	if err == nil {
		return p, nil
	}
	var types []string
	for _, def := range h.Builtins {
		types = append(types, def.Type())
	}
	detail := err.Error() + ": " + trackio.HintOf(err) + "."
	if len(types) > 0 {
		detail += " Built in: " + strings.Join(types, ", ") + "."
	}
	diag := mistake(b.place, "No backend of the type "+b.Type, detail)
	if b.place.Filename == "" {
		diag.Subject = nil
	}
	return program{}, cfg.invalid(hcl.Diagnostics{diag})
}

// launch starts a program and connects to it.
func (h *Host) launch(ctx context.Context, c *Client, p program) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	base, err := socketBase()
	if err != nil {
		return err
	}
	c.output = &outputLog{copyTo: h.Stderr, logger: h.Logger}
	env := backendEnvironment(os.Environ(), c.meta.env)
	if h.Logger != nil {
		c.output.logger = h.Logger.Named(c.block.Name)
		env = append(env, logKey+"="+h.Logger.GetLevel().String())
	}
	// A process of our own executable listens in a folder that only this user
	// can enter, which is what certificates would prove again, at the price of
	// most of the time that a short command takes. Windows has a port instead of
	// a socket there, open to every user.
	mtls := c.meta.mtls && (!p.builtin || runtime.GOOS == "windows")
	started := make(chan struct{}) // closed when there is a process to kill
	c.plugin = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: versions(nil),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		AutoMTLS:         mtls,
		StartTimeout:     startTimeout + time.Second, // ctx ends before
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
		GRPCDialOptions:  wire.DialOptions(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: base},
		SyncStdout:       c.output.source(),
		SyncStderr:       c.output.source(),
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, dir string) (runner.Runner, error) {
			defer close(started)
			c.dir = dir
			if p.sha256 != "" {
				file, err := pinnedCopy(p, dir)
				if err != nil {
					return nil, err
				}
				p.path = file
			}
			process, err := newProcess(p, env, spec, c.output)
			if err != nil {
				return nil, err
			}
			c.process = process
			return process, nil
		},
	})
	giveUp := context.AfterFunc(ctx, func() {
		<-started
		if c.process != nil {
			_ = c.process.Kill(ctx)
		}
	})
	conn, err := c.connect()
	if !giveUp() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	if p.sha256 != "" && runtime.GOOS != "windows" {
		_ = os.Remove(filepath.Join(c.dir, filepath.Base(p.path))) // it runs, and needs its name no more
	}
	c.remote = wire.NewClient(conn, nil)
	c.remote.Lost = c.lost
	c.Backend = c.remote
	return nil
}

// connect starts the process and returns the connection.
func (c *Client) connect() (*grpc.ClientConn, error) {
	protocol, err := c.plugin.Client()
	if err != nil {
		return nil, err
	}
	conn, err := protocol.Dispense(service)
	if err != nil {
		return nil, err
	}
	return conn.(*grpc.ClientConn), nil
}

// notStarted says why a program did not become a backend, while ready lasted.
func (c *Client) notStarted(ctx, ready context.Context, err error) error {
	var typed, failed *trackio.Error
	where := c.where()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ready.Err() != nil:
		failed = trackio.Errorf(trackio.ErrUnavailable, "%s was not ready within %v%s", where, startTimeout, c.lastWords())
	case errors.As(err, &typed):
		return err
	case errors.Is(err, fs.ErrPermission) && c.meta.sha256 != "":
		return trackio.Errorf(trackio.ErrPermission, "%s cannot be started: %w", where, err).
			WithHint("a pinned program is started from the temporary folder, which may forbid programs: set TMPDIR to another")
	case errors.Is(err, fs.ErrPermission):
		return trackio.Errorf(trackio.ErrPermission, "%s cannot be started: %w", where, err).WithHint("make the file executable")
	case c.process != nil && c.process.endedByItself():
		failed = trackio.Errorf(trackio.ErrBackendDied, "%s ended before it was ready (%s)%s", where, c.process.state(), c.lastWords())
	default:
		text := strings.Join(strings.Fields(err.Error()), " ") // it quotes what the program wrote
		failed = trackio.Errorf(trackio.ErrUnavailable, "%s did not start: %s%s", where, printable(text), c.lastWords())
	}
	return failed.WithHint("run its program by hand: it says what it is")
}

// where names a block and its program.
func (c *Client) where() string { return c.block.describe() + ": " + c.program }

// describe asks what the backend is.
func (c *Client) describe(ctx context.Context) error {
	description, err := c.remote.RPC.Describe(ctx, &backendv1.DescribeRequest{})
	c.description = description
	if err = c.remote.Failed(ctx, "Describe", err); err == nil || errors.Is(err, trackio.ErrBackendDied) {
		return err
	}
	silent := trackio.Errorf(trackio.ErrUnavailable, "%s does not answer as a backend: %w%s", c.where(), err, c.lastWords())
	if c.meta.mtls {
		return silent.WithHint("if its program cannot do mutual TLS, put mtls = false into the block")
	}
	return silent
}

// read reads the configuration by what the backend is.
func (c *Client) read(cfg *Config) ([]byte, error) {
	description := c.description
	if description.GetProtocol() != wire.Protocol {
		return nil, trackio.Errorf(errors.ErrUnsupported, "%s speaks protocol %d, this trackio speaks %d", c.block.describe(), description.GetProtocol(), wire.Protocol).
			WithHint("install a version of the backend that belongs to this version of trackio")
	}
	if description.GetType() != c.block.Type {
		return nil, cfg.invalid(hcl.Diagnostics{mistake(c.block.place, "Another type of backend",
			"The program of this block is a backend of the type "+description.GetType()+", not "+c.block.Type+".")})
	}
	c.remote.Capabilities = c.meta.granted(description.GetCapabilities())
	values, config, err := cfg.decode(c.block, c.meta.body, description.GetSchema())
	c.values = values
	return config, err
}

// configure opens the storage.
func (c *Client) configure(ctx context.Context, cfg *Config, config []byte) error {
	response, err := c.remote.RPC.Configure(ctx, &backendv1.ConfigureRequest{
		Config: config, Environment: declaredEnvironment(c.description.GetEnvironment()),
	})
	if err != nil {
		return c.values.blot(c.remote.Failed(ctx, "Configure", err))
	}
	if found := response.GetDiagnostics(); len(found) > 0 {
		diags := c.values.diagnostics(found)
		if diags.HasErrors() {
			return c.refused(cfg, found, diags)
		}
		for _, d := range diags {
			trackio.Note(ctx, "%s: %s %s", c.block.describe(), d.Summary, d.Detail)
		}
	}
	if capabilities := response.GetCapabilities(); capabilities != nil {
		c.remote.Capabilities = c.meta.granted(capabilities.GetCapabilities())
	}
	c.values.supplement(response.GetSettings())
	return nil
}

// refused is the error for a configuration that the backend did not take. A
// block that is in no file has no place to show.
func (c *Client) refused(cfg *Config, found []*backendv1.Diagnostic, diags hcl.Diagnostics) error {
	kind := trackio.ErrInvalid
	for _, d := range found {
		if k := wire.KindError(d.GetKind()); k != nil {
			kind = k
			break
		}
	}
	if cfg.Path == "" {
		d := diags[0]
		return &trackio.Error{Kind: kind, Message: d.Summary, Hint: d.Detail}
	}
	var typed *trackio.Error
	if err := cfg.invalid(diags, c.values.secrets...); errors.As(err, &typed) {
		message := typed.Message
		if kind != trackio.ErrInvalid {
			message = "the storage cannot be opened as configured" + strings.TrimPrefix(message, mistaken)
		}
		return &trackio.Error{Kind: kind, Message: message, Err: typed.Err}
	}
	return trackio.Errorf(kind, "%w", diags)
}
