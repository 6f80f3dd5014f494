package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/trackio-go/trackio/plugin/internal/wire"
)

// meta are the attributes that every block may have, whatever its backend.
type meta struct {
	plugin  string   // the program; "" when it is to be found
	sha256  string   // what its file must be
	mtls    bool     // both sides prove who they are
	env     []string // further variables of the host that the process gets
	disable []wire.Capability

	body hcl.Body  // what is left: the backend's own configuration
	at   hcl.Range // of plugin
}

var metaSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{
	{Name: "plugin"}, {Name: "sha256"}, {Name: "mtls"}, {Name: "env"}, {Name: "disable"},
}}

// meta reads the attributes of a block that are the host's.
func (c *Config) meta(b *Block) (meta, hcl.Diagnostics) {
	m := meta{mtls: true, body: hcl.EmptyBody()}
	if b.body == nil {
		return m, nil
	}
	content, rest, diags := b.body.PartialContent(&metaSchema)
	m.body = rest
	ctx := c.context()
	for name, attribute := range content.Attributes {
		more := m.set(c, name, attribute, ctx)
		diags = append(diags, more...)
	}
	if a := content.Attributes["sha256"]; a != nil && m.plugin == "" && !diags.HasErrors() {
		diags = append(diags, mistake(a.NameRange, "sha256 needs plugin", "A program can be pinned when the block names it: plugin = \"/path/to/program\"."))
	}
	return m, diags
}

func (m *meta) set(c *Config, name string, a *hcl.Attribute, ctx *hcl.EvalContext) hcl.Diagnostics {
	want := cty.String
	switch name {
	case "mtls":
		want = cty.Bool
	case "env", "disable":
		want = cty.List(cty.String)
	}
	value, diags := valueOf(a, want, ctx)
	if diags.HasErrors() || value.IsNull() {
		return diags
	}
	switch name {
	case "plugin":
		m.at = a.Expr.Range()
		path, err := c.expand(value.AsString(), true)
		switch {
		case err != nil:
			return append(diags, mistake(m.at, "Not a usable path", err.Error()+"."))
		case path == "":
			return append(diags, mistake(m.at, "plugin is empty", "It is the path of the program of the backend."))
		}
		m.plugin = path
	case "sha256":
		m.sha256 = value.AsString()
		if len(m.sha256) != 64 || strings.Trim(strings.ToLower(m.sha256), "0123456789abcdef") != "" {
			return append(diags, mistake(a.Expr.Range(), "Not a checksum", "sha256 is 64 hexadecimal digits, as sha256sum prints them."))
		}
	case "mtls":
		m.mtls = value.True()
	case "env":
		m.env = stringsOf(value)
		for _, pattern := range m.env {
			if !validPattern(pattern) {
				return append(diags, mistake(a.Expr.Range(), "Not a variable",
					"env lists the names of environment variables, or the beginnings of names followed by *, such as \"PG*\"."))
			}
		}
	case "disable":
		for _, word := range stringsOf(value) {
			capability, ok := wire.CapabilityNamed(word)
			if !ok {
				return append(diags, mistake(a.Expr.Range(), "No such capability",
					"A backend can be kept from: "+strings.Join(wire.CapabilityNames(), ", ")+"."))
			}
			m.disable = append(m.disable, capability)
		}
	}
	return diags
}

// granted leaves out the capabilities that the block switches off.
func (m *meta) granted(declared []wire.Capability) []wire.Capability {
	return slices.DeleteFunc(slices.Clone(declared), func(c wire.Capability) bool { return slices.Contains(m.disable, c) })
}

func stringsOf(list cty.Value) []string {
	var all []string
	for _, v := range list.AsValueSlice() {
		if !v.IsNull() {
			all = append(all, v.AsString())
		}
	}
	return all
}

// expand makes a path usable: ~ is the home directory, and one from the file is
// relative to the file. URLs are left as they are.
func (c *Config) expand(path string, fromFile bool) (string, error) {
	switch {
	case path == "" || strings.Contains(path, "://"):
		return path, nil
	case path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~\`):
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no home directory for %s: %w", path, err)
		}
		return filepath.Join(home, path[1:]), nil
	case path[0] == '~':
		return "", fmt.Errorf("%s: only ~ itself is known, your home directory; a file of that name is ./%s", path, path)
	case fromFile && !filepath.IsAbs(path) && c.Path != "":
		return filepath.Join(filepath.Dir(c.Path), path), nil
	}
	return filepath.Abs(path)
}
