package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/plugin/internal/wire"
)

// The handshake by which a program knows that a host started it. It is no
// secret: without it the program explains itself to whoever ran it by hand.
const (
	cookieKey   = "TRACKIO_BACKEND_COOKIE"
	cookieValue = "trackio.backend"
)

// lifelineKey names the descriptor of a pipe whose other end only the host
// holds; a host gives it to programs that are its own executable.
const lifelineKey = "TRACKIO_BACKEND_LIFELINE"

// logKey sets the level of the log: trace, debug, info, warn, error or off.
const logKey = "TRACKIO_LOG"

func handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{MagicCookieKey: cookieKey, MagicCookieValue: cookieValue}
}

// service is the one name in the plugin sets of both sides.
const service = "backend"

// versions are the protocols that a side speaks: one number, one proto package.
func versions(server *wire.Server) map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{wire.Protocol: {service: &grpcService{server: server}}}
}

// grpcService connects go-plugin with the protocol, which knows nothing of it.
type grpcService struct {
	goplugin.NetRPCUnsupportedPlugin
	server *wire.Server
}

func (s *grpcService) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	if s.server == nil {
		return errors.New("there is no backend to serve")
	}
	backendv1.RegisterBackendServiceServer(server, s.server)
	return nil
}

func (s *grpcService) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// Serve is the main function of the program of a backend. It returns when the
// host is done with the backend, or is gone. Run by hand, the program explains
// what it is and which block to write, and answers --version and --describe.
func Serve(def Definition) {
	if os.Getenv(cookieKey) == cookieValue {
		serve(def)
		return
	}
	if err := explain(def, os.Args, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// dispatched is set once [ServeBuiltin] has looked at the arguments: only then
// may this executable be started again as a backend.
var dispatched atomic.Bool

// ServeBuiltin serves one of the backends that are part of the program when the
// arguments, those of [os.Args], say so: plugin serve NAME. It reports whether
// it did; main returns then. It must be the very first thing in main, before
// flags, configuration or output, and in the TestMain of a package whose tests
// open backends: a program that does not call it is not started as a backend,
// since each start would start the next.
func ServeBuiltin(args []string, builtins []Definition) bool {
	dispatched.Store(true)
	if len(args) != 4 || args[1] != "plugin" || args[2] != "serve" {
		return false
	}
	for _, def := range builtins {
		if def.Type() != args[3] {
			continue
		}
		if os.Getenv(cookieKey) != cookieValue {
			fmt.Fprintf(os.Stderr, "%q is how this program starts its own backends; it is not a command.\n", strings.Join(args[1:], " "))
			os.Exit(2)
		}
		serve(def)
		return true
	}
	fmt.Fprintf(os.Stderr, "there is no backend %q in this program\n", args[3])
	os.Exit(2)
	return true
}

// serve serves a backend until the host has closed it or is gone.
func serve(def Definition) {
	level := hclog.LevelFromString(os.Getenv(logKey))
	if level == hclog.NoLevel {
		level = hclog.Error
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: def.Type(), Level: level, Output: os.Stderr, JSONFormat: true})
	hclog.SetDefault(logger)

	backend := def.server(os.Stderr)
	socketDir := os.Getenv(goplugin.EnvUnixSocketDir)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: versions(backend),
		Logger:           logger,
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			// Whatever this process starts is no backend of the host.
			_ = os.Unsetenv(cookieKey)
			var watch lifeline
			server := grpc.NewServer(append(append(opts, wire.ServerOptions()...), grpc.ChainStreamInterceptor(watch.stream))...)
			watch.begin(server)
			return server
		},
	})
	closeWithin(time.Second, backend, logger)
	if socketDir != "" {
		_ = os.Remove(socketDir) // empty now; the host removes it too, if it lives
	}
}

// closeWithin closes the backend, which a host that is gone could not do.
func closeWithin(limit time.Duration, backend *wire.Server, logger hclog.Logger) {
	closed := make(chan error, 1)
	go func() { closed <- backend.Shutdown() }()
	select {
	case err := <-closed:
		if err != nil {
			logger.Error("closing the backend", "error", err)
		}
	case <-time.After(limit):
		logger.Warn("the backend did not close in time")
	}
}

// lifeline ends the process when its host is gone. The host holds one stream
// open as long as it lives, go-plugin's for the standard output, whose end
// arrives within milliseconds, also after kill -9 and in the middle of other
// streams. Connections that end are no sign: any stranger's would count.
type lifeline struct {
	attached atomic.Bool
	stop     func()
}

// acceptTime is how long a host that is no longer there is waited for.
const acceptTime = time.Second

func (l *lifeline) begin(server *grpc.Server) {
	l.stop = func() {
		// Stop makes Serve return, so that the socket is removed on the way out;
		// a backend that holds the process up after that is cut off.
		time.AfterFunc(acceptTime+acceptTime/2, func() { os.Exit(1) })
		server.Stop()
	}
	if pipe := inheritedLifeline(); pipe != nil {
		go func() {
			_, _ = io.Copy(io.Discard, pipe)
			l.stop()
		}()
		return
	}
	time.AfterFunc(acceptTime, func() {
		if !l.attached.Load() {
			l.stop()
		}
	})
}

func (l *lifeline) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if info.FullMethod != "/plugin.GRPCStdio/StreamStdio" {
		return handle(service, stream)
	}
	l.attached.Store(true)
	err := handle(service, stream)
	go l.stop()
	return err
}

// explain tells a person who ran the program what it is.
func explain(def Definition, args []string, out io.Writer) error {
	d := def.describe
	program := "trackio-backend-" + d.GetType()
	if len(args) > 2 {
		return fmt.Errorf("%s: takes --version, --describe or nothing", program)
	}
	option := ""
	if len(args) == 2 {
		option = args[1]
	}
	switch option {
	case "--version":
		fmt.Fprintf(out, "%s %s, protocol trackio.backend.v%d\n", program, d.GetVersion(), wire.Protocol)
	case "--describe":
		text, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(d)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n", text)
	case "", "--help", "-h":
		fmt.Fprintf(out, "%s %s is a backend of trackio", program, d.GetVersion())
		if d.GetDescription() != "" {
			fmt.Fprintf(out, ": %s", d.GetDescription())
		}
		fmt.Fprintf(out, ".\ntrackio starts it; put a block like this into its config file:\n\n%s\n"+
			"and this program on PATH, or name it in the block: plugin = \"/path/to/%s\".\n"+
			"--version and --describe say more.\n", exampleBlock(d), program)
	default:
		return fmt.Errorf("%s: unknown argument %q: it takes --version, --describe or nothing", program, option)
	}
	return nil
}

// exampleBlock writes a block with every attribute, those that may be left out
// as comments.
func exampleBlock(d *backendv1.DescribeResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "backend %q \"mine\" {\n", d.GetType())
	writeExample(&b, d.GetSchema(), "  ")
	b.WriteString("}\n")
	return b.String()
}

func writeExample(b *strings.Builder, schema *backendv1.Schema, indent string) {
	for _, a := range schema.GetAttributes() {
		comment := "# "
		if a.GetRequired() {
			comment = ""
		}
		fmt.Fprintf(b, "%s%s%s = %s", indent, comment, a.GetName(), exampleValue(a))
		if a.GetDescription() != "" {
			fmt.Fprintf(b, "  # %s", a.GetDescription())
		}
		b.WriteByte('\n')
	}
	for _, block := range schema.GetBlocks() {
		fmt.Fprintf(b, "%s%s {\n", indent, block.GetName())
		writeExample(b, block.GetSchema(), indent+"  ")
		fmt.Fprintf(b, "%s}\n", indent)
	}
}

func exampleValue(a *backendv1.Attribute) string {
	if a.GetSensitive() && a.GetEnvironmentVariable() != "" {
		return fmt.Sprintf("env(%q)", a.GetEnvironmentVariable())
	}
	switch a.GetType() {
	case backendv1.AttributeType_ATTRIBUTE_TYPE_BOOL, backendv1.AttributeType_ATTRIBUTE_TYPE_INTEGER, backendv1.AttributeType_ATTRIBUTE_TYPE_NUMBER:
		if a.GetDefault() != "" {
			return a.GetDefault()
		}
		if a.GetType() == backendv1.AttributeType_ATTRIBUTE_TYPE_BOOL {
			return "false"
		}
		return "0"
	case backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_LIST:
		return "[]"
	case backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_MAP:
		return "{}"
	}
	return fmt.Sprintf("%q", a.GetDefault())
}
