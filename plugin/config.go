package plugin

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/trackio-go/trackio/trackio"
)

// Config is a config file: which backends there are, and the default one.
type Config struct {
	Path    string // absolute; "" when there is no file
	Default string // the name of the default block, also when it is the only one; else ""
	Blocks  []*Block

	files map[string]*hcl.File
}

// Block configures one backend: backend "type" "name" {...}. What is in it is
// looked at when it is opened, so that a mistake in one block, or a variable
// that is not set, does not keep others from being used.
type Block struct {
	Type string
	Name string

	body  hcl.Body // nil for the block that exists without a file
	place hcl.Range
}

// Range says where the block is, like config.hcl:4; "" when it is in no file.
func (b *Block) Range() string { return rangeText(b.place) }

// FindConfig returns the path of the config file: the value of --config, else
// TRACKIO_CONFIG, else trackio/config.hcl in the user's configuration folder if
// it exists, else "". The current directory is never looked at, since a config
// file can name programs to run.
func FindConfig(flag string, getenv func(string) string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if path := getenv("TRACKIO_CONFIG"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", nil //nolint:nilerr // no home directory, no config file in it
	}
	path := filepath.Join(dir, "trackio", "config.hcl")
	_, err = os.Stat(path)
	if os.IsNotExist(err) {
		return "", nil
	}
	return path, err
}

// LoadConfig reads a config file. Without one, path "", there is one backend:
// sqlite "local" with its own defaults. Mistakes are [trackio.ErrInvalid] with
// file, line and excerpt.
func LoadConfig(path string) (*Config, error) {
	cfg := &Config{}
	if path == "" {
		cfg.implicit()
		return cfg, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, trackio.Errorf(trackio.ErrInvalid, "config file: %w", err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		kind := trackio.ErrInvalid
		if os.IsPermission(err) {
			kind = trackio.ErrPermission
		}
		return nil, trackio.Errorf(kind, "config file: %w", err).
			WithHint("--config, TRACKIO_CONFIG or the user's configuration folder say which file is read")
	}
	cfg.Path = path
	file, diags := hclsyntax.ParseConfig(source, path, hcl.InitialPos)
	cfg.files = map[string]*hcl.File{path: file}
	if diags.HasErrors() {
		return nil, cfg.invalid(diags)
	}
	if diags := cfg.read(file.Body); diags.HasErrors() {
		return nil, cfg.invalid(diags)
	}
	switch {
	case len(cfg.Blocks) == 0:
		cfg.implicit()
	case len(cfg.Blocks) == 1 && cfg.Default == "":
		cfg.Default = cfg.Blocks[0].Name
	}
	return cfg, nil
}

// implicit adds the backend that there is when none is configured.
func (c *Config) implicit() {
	c.Blocks = []*Block{{Type: "sqlite", Name: "local"}}
	c.Default = "local"
}

func (c *Config) read(body hcl.Body) hcl.Diagnostics {
	content, diags := body.Content(&hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "default"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "backend", LabelNames: []string{"type", "name"}}},
	})
	seen := map[string]*Block{}
	for _, found := range content.Blocks {
		b := &Block{Type: found.Labels[0], Name: found.Labels[1], body: found.Body, place: found.DefRange}
		switch before := seen[b.Name]; {
		case !validType(b.Type):
			diags = append(diags, mistake(found.LabelRanges[0], "Not a type of backends",
				"The first label says which kind of backend this is, in lower-case letters, digits, '-' and '_'."))
		case b.Name == "":
			diags = append(diags, mistake(found.LabelRanges[1], "A backend needs a name", "The second label is the name that --backend takes."))
		case before != nil:
			diags = append(diags, mistake(found.LabelRanges[1], "Two backends of one name",
				"The name "+b.Name+" is taken by the backend at "+before.Range()+"."))
		default:
			seen[b.Name] = b
			c.Blocks = append(c.Blocks, b)
		}
	}
	attribute, ok := content.Attributes["default"]
	if !ok {
		return diags
	}
	name, more := stringOf(attribute, c.context())
	diags = append(diags, more...)
	if !more.HasErrors() && seen[name] == nil && !diags.HasErrors() {
		diags = append(diags, mistake(attribute.Expr.Range(), "No such backend",
			"default is the name of a backend of this file: "+c.names()+"."))
	}
	c.Default = name
	return diags
}

// Select returns the block of a name; for "" the default one. An unknown name is
// [trackio.ErrInvalid], and the error lists those that there are.
func (c *Config) Select(name string) (*Block, error) {
	wanted := name
	if wanted == "" {
		wanted = c.Default
	}
	for _, b := range c.Blocks {
		if b.Name == wanted {
			return b, nil
		}
	}
	if wanted == "" {
		return nil, trackio.Errorf(trackio.ErrInvalid, "%s has several backends and names no default", c.Path).
			WithHint("add default = \"...\", or choose with --backend: %s", c.names())
	}
	return nil, trackio.Errorf(trackio.ErrInvalid, "there is no backend %q", name).WithHint("choose one of: %s", c.names())
}

func (c *Config) names() string {
	var names []string
	for _, b := range c.Blocks {
		names = append(names, b.Name)
	}
	return strings.Join(names, ", ")
}

// context holds what expressions may use: env("NAME").
func (c *Config) context() *hcl.EvalContext {
	env := function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			value, ok := os.LookupEnv(name)
			if !ok {
				return cty.NilVal, function.NewArgErrorf(0, "the environment variable %s is not set", name)
			}
			return cty.StringVal(value), nil
		},
	})
	return &hcl.EvalContext{Functions: map[string]function.Function{"env": env}}
}

// mistaken is how an error begins that quotes the file.
const mistaken = "the configuration has a mistake"

// invalid makes an error of diagnostics: each with file, line and excerpt, in
// which secrets are blotted out.
func (c *Config) invalid(diags hcl.Diagnostics, secrets ...hcl.Range) error {
	files := c.files
	if file := c.files[c.Path]; file != nil && len(secrets) > 0 {
		shown := *file
		shown.Bytes = bytes.Clone(file.Bytes)
		for _, secret := range secrets {
			text := shown.Bytes[secret.Start.Byte:secret.End.Byte]
			for i := range text {
				if text[i] != '\n' {
					text[i] = '*'
				}
			}
		}
		files = map[string]*hcl.File{c.Path: &shown}
	}
	var text bytes.Buffer
	writer := hcl.NewDiagnosticTextWriter(&text, files, 100, false)
	if err := writer.WriteDiagnostics(diags); err != nil {
		return trackio.Errorf(trackio.ErrInvalid, "%w", diags)
	}
	message := strings.TrimSpace(strings.ReplaceAll(text.String(), "\n\n\n", "\n\n"))
	return &trackio.Error{Kind: trackio.ErrInvalid, Message: mistaken + "\n\n" + message}
}

func mistake(where hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &where}
}

// stringOf evaluates an attribute that must be a string.
func stringOf(a *hcl.Attribute, ctx *hcl.EvalContext) (string, hcl.Diagnostics) {
	value, diags := valueOf(a, cty.String, ctx)
	if diags.HasErrors() || value.IsNull() {
		return "", diags
	}
	return value.AsString(), diags
}

// valueOf evaluates an attribute and converts it to a type.
func valueOf(a *hcl.Attribute, want cty.Type, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := a.Expr.Value(ctx)
	if diags.HasErrors() {
		return cty.NullVal(want), diags
	}
	converted, err := convert.Convert(value, want)
	if err != nil || !converted.IsWhollyKnown() {
		return cty.NullVal(want), append(diags, mistake(a.Expr.Range(), "Wrong type of value",
			a.Name+" must be "+typeText(want)+", but this is "+value.Type().FriendlyName()+"."))
	}
	return converted, diags
}

func typeText(t cty.Type) string {
	switch {
	case t.Equals(cty.List(cty.String)):
		return "a list of strings"
	case t.Equals(cty.Map(cty.String)):
		return "a map of strings"
	case t.Equals(cty.Bool):
		return "true or false"
	}
	return "a " + t.FriendlyName()
}

func rangeText(r hcl.Range) string {
	if r.Filename == "" {
		return ""
	}
	return filepath.Base(r.Filename) + ":" + strconv.Itoa(r.Start.Line)
}
