package plugin

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/plugin/internal/wire"
	"github.com/trackio-go/trackio/trackio"
)

// Info says what a backend is.
type Info struct {
	// Type is the first label of its blocks, and its program is called
	// trackio-backend-<type>: lower-case letters, digits, '-' and '_'.
	Type string
	// Version of the program, for people.
	Version string
	// Description is one line about what it stores runs in.
	Description string
	// Environment are the variables that its libraries read: names, or beginnings
	// of names followed by "*", such as "AWS_*". Others reach it only when the user's block lists them.
	Environment []string
	// Kinds are the kinds of records that it keeps; zero for all.
	Kinds trackio.Kinds
}

// Definition is a backend that can be served and opened. Make one with [Define].
type Definition struct {
	describe *backendv1.DescribeResponse
	open     func(context.Context, []byte) (trackio.Backend, error)
}

// Define makes the definition of a backend from its configuration struct and the
// function that opens it. The context given to open lasts until the backend is
// closed. The exported fields of the struct carry tags, which are plain strings,
// so that the package of a backend need not import this one:
//
//	trackio:"name[,required][,sensitive][,path]"  the attribute; fields without it are left alone
//	default:"..."                                 its value when none is given
//	env:"VAR"                                     the environment variable that stands in for it
//	help:"..."                                    one line about it
//
// The types are string, bool, int, int64, float64, []string, map[string]string
// and [time.Duration]; a struct, or a pointer to one, is a block within the
// block, and a slice of structs is a block that may stand several times. The names
// plugin, sha256, mtls, env and disable have a meaning in every block. The
// host expands ~ in a path and makes it relative to the config file; a value
// with "://" is left as it is. A sensitive value is never shown or logged. The
// notations of default and env are: lists a,b and maps a=1,b=2.
//
// When an error of open has, anywhere in its chain, a method
// ConfigAttribute() string, it is shown at that attribute of the config file.
// An opened backend that has a method ConfigSettings() map[string]string says
// which values hold for attributes that were not given.
//
// Define panics when the struct, a default or the type's name is not usable: that
// is a mistake in the program, found by its first run.
func Define[C any, B trackio.Backend](info Info, open func(ctx context.Context, cfg C) (B, error)) Definition {
	if !validType(info.Type) {
		panic("plugin.Define: " + info.Type + " is not a usable type: take lower-case letters, digits, '-' and '_'")
	}
	schema, err := schemaOf(reflect.TypeFor[C]())
	if err != nil {
		panic("plugin.Define: " + err.Error())
	}
	// The zero value of a concrete type says what it can do, but for a wrapper,
	// which must be asked, and so must exist.
	var zero B
	var known []wire.Capability
	if _, wraps := any(zero).(interface{ As(any) bool }); !wraps {
		known = wire.CapabilitiesOf(zero)
	}
	return Definition{
		describe: &backendv1.DescribeResponse{
			Type: info.Type, Version: info.Version, Description: info.Description, Protocol: wire.Protocol,
			Capabilities: known, Kinds: wire.ToKinds(info.Kinds),
			Schema: schema, Environment: info.Environment,
		},
		open: func(ctx context.Context, config []byte) (trackio.Backend, error) {
			var cfg C
			if err := decodeConfig(config, reflect.ValueOf(&cfg).Elem()); err != nil {
				return nil, err
			}
			backend, err := open(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return backend, nil
		},
	}
}

// Type returns the type of the backend.
func (d Definition) Type() string { return d.describe.GetType() }

// Description returns the line about what the backend stores runs in.
func (d Definition) Description() string { return d.describe.GetDescription() }

func validType(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// server returns the service of this backend, not opened yet. What the backend
// writes to either output goes to stderr, which the host reads.
func (d Definition) server(stderr *os.File) *wire.Server {
	return &wire.Server{
		Description: d.describe,
		Open: func(ctx context.Context, request *backendv1.ConfigureRequest) (trackio.Backend, *backendv1.ConfigureResponse, error) {
			for name, value := range request.GetEnvironment() {
				if !named(d.describe.GetEnvironment(), name) {
					continue
				}
				if err := os.Setenv(name, value); err != nil {
					return nil, nil, trackio.Errorf(trackio.ErrInvalid, "environment variable %s: %w", name, err)
				}
			}
			// go-plugin has redirected both to calls of its own, which end before
			// the last words of a process have arrived.
			os.Stdout, os.Stderr = stderr, stderr
			backend, err := d.open(ctx, request.GetConfig())
			if diagnostic := diagnose(err); diagnostic != nil {
				return nil, &backendv1.ConfigureResponse{Diagnostics: []*backendv1.Diagnostic{diagnostic}}, nil
			}
			if err != nil {
				return nil, nil, err
			}
			response := &backendv1.ConfigureResponse{
				Capabilities: &backendv1.Capabilities{Capabilities: wire.CapabilitiesOf(backend)},
			}
			if telling, ok := backend.(interface{ ConfigSettings() map[string]string }); ok {
				response.Settings = telling.ConfigSettings()
			}
			return backend, response, nil
		},
	}
}

// diagnose turns an error about an attribute into a diagnostic, other errors
// into nil.
func diagnose(err error) *backendv1.Diagnostic {
	var about interface{ ConfigAttribute() string }
	if !errors.As(err, &about) || about.ConfigAttribute() == "" {
		return nil
	}
	return &backendv1.Diagnostic{
		Severity: backendv1.Severity_SEVERITY_ERROR,
		Summary:  err.Error(),
		Detail:   trackio.HintOf(err),
		Path:     strings.Split(about.ConfigAttribute(), "."),
		Kind:     wire.ErrorKind(err),
	}
}
