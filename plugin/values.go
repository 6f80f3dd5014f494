package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/trackio"
)

// Setting is one value of a backend's configuration and where it comes from.
type Setting struct {
	Name      string // of the attribute, with the blocks around it: "credentials.key"
	Value     string // as text; masked when sensitive
	Source    string // "config.hcl:4", "environment variable X", "default" or "" when not set
	Sensitive bool
}

const masked = "(sensitive)"

// values is the configuration of a block after its schema: the JSON that the
// backend gets, what a person is shown, and where each part of it stands.
type values struct {
	cfg      *Config
	ctx      *hcl.EvalContext
	settings []Setting
	places   map[string]hcl.Range // by path, joined with dots
	secrets  []hcl.Range          // what must not be shown of the file
	hidden   []string             // and not in what the backend says about it
	diags    hcl.Diagnostics
}

// decode reads the body of a block by the schema of its backend. An attribute
// beats its environment variable, which beats its default.
func (c *Config) decode(b *Block, body hcl.Body, schema *backendv1.Schema) (*values, []byte, error) {
	v := &values{cfg: c, ctx: c.context(), places: map[string]hcl.Range{"": b.place}}
	object := v.body(body, schema, "", b.place)
	if v.diags.HasErrors() {
		return v, nil, c.invalid(v.diags, v.secrets...)
	}
	config, err := json.Marshal(object)
	return v, config, err
}

func (v *values) body(body hcl.Body, schema *backendv1.Schema, prefix string, place hcl.Range) map[string]any {
	want := &hcl.BodySchema{}
	for _, a := range schema.GetAttributes() {
		want.Attributes = append(want.Attributes, hcl.AttributeSchema{Name: a.GetName()})
	}
	for _, b := range schema.GetBlocks() {
		want.Blocks = append(want.Blocks, hcl.BlockHeaderSchema{Type: b.GetName()})
	}
	v.hideMisspelled(body, want, schema)
	content, diags := body.Content(want)
	v.diags = append(v.diags, diags...)
	object := map[string]any{}
	for _, a := range schema.GetAttributes() {
		if value, ok := v.attribute(a, content.Attributes[a.GetName()], prefix, place); ok {
			object[a.GetName()] = value
		}
	}
	for _, b := range schema.GetBlocks() {
		if value, ok := v.block(b, content.Blocks.OfType(b.GetName()), prefix, place); ok {
			object[b.GetName()] = value
		}
	}
	return object
}

// hideMisspelled keeps the values of attributes that are not in a schema with
// secrets from being shown: one of them may be a secret under a wrong name.
func (v *values) hideMisspelled(body hcl.Body, want *hcl.BodySchema, schema *backendv1.Schema) {
	given, ok := body.(*hclsyntax.Body)
	if !ok || !slices.ContainsFunc(schema.GetAttributes(), (*backendv1.Attribute).GetSensitive) {
		return
	}
	for name, attribute := range given.Attributes {
		if !slices.ContainsFunc(want.Attributes, func(a hcl.AttributeSchema) bool { return a.Name == name }) {
			v.secrets = append(v.secrets, attribute.Expr.Range())
		}
	}
}

func (v *values) block(b *backendv1.NestedBlock, found hcl.Blocks, prefix string, place hcl.Range) (any, bool) {
	name := prefix + b.GetName()
	switch {
	case len(found) == 0 && b.GetRequired():
		v.diags = append(v.diags, mistake(place, "Missing block", "A block "+b.GetName()+" {...} is needed here."))
		return nil, false
	case len(found) == 0:
		return nil, false
	case len(found) > 1 && !b.GetRepeated():
		v.diags = append(v.diags, mistake(found[1].DefRange, "Two blocks of one name", "Only one block "+b.GetName()+" may stand here."))
		return nil, false
	case !b.GetRepeated():
		v.places[name] = found[0].DefRange
		return v.body(found[0].Body, b.GetSchema(), name+".", found[0].DefRange), true
	}
	list := make([]any, len(found))
	for i, block := range found {
		path := name + "." + strconv.Itoa(i)
		v.places[path] = block.DefRange
		list[i] = v.body(block.Body, b.GetSchema(), path+".", block.DefRange)
	}
	return list, true
}

// attribute finds the value of an attribute, records its source, and returns it
// as it goes into the JSON, if there is one.
func (v *values) attribute(a *backendv1.Attribute, given *hcl.Attribute, prefix string, place hcl.Range) (any, bool) {
	name := prefix + a.GetName()
	value, source, fromFile := cty.NilVal, "", false
	if given != nil {
		v.places[name] = given.Expr.Range()
		if a.GetSensitive() && !isCall(given) {
			v.secrets = append(v.secrets, given.Expr.Range())
		}
		got, diags := valueOf(given, ctyType(a.GetType()), v.ctx)
		v.diags = append(v.diags, diags...)
		if diags.HasErrors() {
			return nil, false
		}
		if !got.IsNull() {
			value, source, fromFile = got, rangeText(given.NameRange), true
		}
	}
	if text, ok := os.LookupEnv(a.GetEnvironmentVariable()); value == cty.NilVal && ok && text != "" {
		source = "environment variable " + a.GetEnvironmentVariable()
		value = v.parse(a, text, source, place)
	}
	if value == cty.NilVal && a.GetDefault() != "" {
		source = "default"
		value = v.parse(a, a.GetDefault(), source, place)
	}
	if value == cty.NilVal {
		if a.GetRequired() && !v.diags.HasErrors() {
			detail := "The attribute " + a.GetName() + " is required"
			if a.GetEnvironmentVariable() != "" {
				detail += "; the environment variable " + a.GetEnvironmentVariable() + " can stand in for it"
			}
			v.diags = append(v.diags, mistake(place, "Missing attribute", detail+"."))
		}
		v.settings = append(v.settings, Setting{Name: name, Sensitive: a.GetSensitive()})
		return nil, false
	}
	where := place
	if fromFile {
		where = given.Expr.Range()
	}
	if a.GetPath() && value.Type() == cty.String {
		path, err := v.cfg.expand(value.AsString(), fromFile)
		if err != nil {
			v.diags = append(v.diags, mistake(where, "Not a usable path", a.GetName()+": "+err.Error()+"."))
			return nil, false
		}
		value = cty.StringVal(path)
	}
	if diag := checkValue(a, value); diag != "" {
		v.diags = append(v.diags, mistake(where, "Wrong type of value", diag))
		return nil, false
	}
	raw, err := ctyjson.Marshal(value, value.Type())
	if err != nil {
		v.diags = append(v.diags, mistake(place, "Wrong type of value", a.GetName()+": "+err.Error()))
		return nil, false
	}
	setting := Setting{Name: name, Value: valueText(value, raw), Source: source, Sensitive: a.GetSensitive()}
	switch secrets := credentials(value); {
	case setting.Sensitive:
		setting.Value = masked
		v.hide(value)
	case len(secrets) > 0:
		for _, secret := range secrets {
			setting.Value = strings.ReplaceAll(setting.Value, secret, masked)
			v.hide(cty.StringVal(secret))
		}
		if fromFile && !isCall(given) {
			v.secrets = append(v.secrets, where)
		}
	}
	v.settings = append(v.settings, setting)
	return json.RawMessage(raw), true
}

// isCall: the file has a function there, and so not the value itself.
func isCall(a *hcl.Attribute) bool {
	_, call := a.Expr.(*hclsyntax.FunctionCallExpr)
	return call
}

// parse reads the text of an environment variable or a default.
func (v *values) parse(a *backendv1.Attribute, text, source string, place hcl.Range) cty.Value {
	fail := func(want string) cty.Value {
		shown := strconv.Quote(text)
		if a.GetSensitive() {
			shown = masked
		}
		v.diags = append(v.diags, mistake(place, "Wrong type of value",
			fmt.Sprintf("%s must be %s, but %s comes from the %s.", a.GetName(), want, shown, source)))
		return cty.NilVal
	}
	switch a.GetType() {
	case backendv1.AttributeType_ATTRIBUTE_TYPE_BOOL:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fail("true or false")
		}
		return cty.BoolVal(b)
	case backendv1.AttributeType_ATTRIBUTE_TYPE_INTEGER, backendv1.AttributeType_ATTRIBUTE_TYPE_NUMBER:
		n, err := cty.ParseNumberVal(text)
		if err != nil {
			return fail("a number")
		}
		return n
	case backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_LIST:
		var list []cty.Value
		for item := range strings.SplitSeq(text, ",") {
			list = append(list, cty.StringVal(strings.TrimSpace(item)))
		}
		return cty.ListVal(list)
	case backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_MAP:
		entries := map[string]cty.Value{}
		for item := range strings.SplitSeq(text, ",") {
			key, value, ok := strings.Cut(item, "=")
			if !ok {
				return fail("written like a=1,b=2")
			}
			entries[strings.TrimSpace(key)] = cty.StringVal(strings.TrimSpace(value))
		}
		return cty.MapVal(entries)
	}
	return cty.StringVal(text)
}

// checkValue says what is wrong with a value of the right general type.
func checkValue(a *backendv1.Attribute, value cty.Value) string {
	switch a.GetType() {
	case backendv1.AttributeType_ATTRIBUTE_TYPE_INTEGER:
		if number := value.AsBigFloat(); !number.IsInt() {
			return a.GetName() + " must be a number without a fraction."
		} else if _, accuracy := number.Int64(); accuracy != 0 {
			return a.GetName() + " is too large."
		}
	case backendv1.AttributeType_ATTRIBUTE_TYPE_DURATION:
		if _, err := time.ParseDuration(value.AsString()); err != nil {
			return a.GetName() + " must be a duration such as \"1m30s\"."
		}
	}
	return ""
}

func ctyType(t backendv1.AttributeType) cty.Type {
	switch t {
	case backendv1.AttributeType_ATTRIBUTE_TYPE_BOOL:
		return cty.Bool
	case backendv1.AttributeType_ATTRIBUTE_TYPE_INTEGER, backendv1.AttributeType_ATTRIBUTE_TYPE_NUMBER:
		return cty.Number
	case backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_LIST:
		return cty.List(cty.String)
	case backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_MAP:
		return cty.Map(cty.String)
	}
	return cty.String
}

func valueText(value cty.Value, raw []byte) string {
	if value.Type() == cty.String {
		return value.AsString()
	}
	return string(raw)
}

// hide keeps a value from being shown. A very short one is part of other words.
func (v *values) hide(value cty.Value) {
	const short = 4
	switch {
	case value.IsNull():
	case value.CanIterateElements():
		for _, element := range value.Elements() {
			v.hide(element)
		}
	case value.Type() == cty.String && len(value.AsString()) >= short:
		v.hidden = append(v.hidden, value.AsString())
	}
}

func (v *values) blotText(text string) string {
	for _, secret := range v.hidden {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return text
}

// blot takes secrets out of an error: drivers quote what they cannot parse.
func (v *values) blot(err error) error {
	var typed *trackio.Error
	switch {
	case errors.As(err, &typed):
		return &trackio.Error{Kind: typed.Kind, Message: v.blotText(err.Error()), Hint: v.blotText(trackio.HintOf(err))}
	case v.blotText(err.Error()) != err.Error():
		return errors.New(v.blotText(err.Error()))
	}
	return err
}

// supplement fills in the values that a backend chose for attributes which
// nobody set.
func (v *values) supplement(chosen map[string]string) {
	for i := range v.settings {
		s := &v.settings[i]
		if value, ok := chosen[s.Name]; ok && s.Source == "" {
			s.Value, s.Source = value, "default"
			if s.Sensitive {
				s.Value = masked
			}
		}
	}
}

// diagnostics places what a backend found in the file: at the attribute that it
// names, else at the block.
func (v *values) diagnostics(found []*backendv1.Diagnostic) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, d := range found {
		path := d.GetPath()
		name := strings.Join(path, ".")
		where, ok := v.places[name]
		for ; !ok; where, ok = v.places[strings.Join(path, ".")] {
			path = path[:len(path)-1]
		}
		detail := v.blotText(d.GetDetail())
		if i := slices.IndexFunc(v.settings, func(s Setting) bool { return s.Name == name }); i >= 0 && !strings.Contains(v.settings[i].Source, ":") && v.settings[i].Source != "" {
			detail = strings.TrimSpace(detail + "\nThe value of " + name + " comes from the " + v.settings[i].Source + ".")
		}
		severity := hcl.DiagError
		if d.GetSeverity() == backendv1.Severity_SEVERITY_WARNING {
			severity = hcl.DiagWarning
		}
		diag := &hcl.Diagnostic{Severity: severity, Summary: v.blotText(d.GetSummary()), Detail: detail}
		if where.Filename != "" {
			diag.Subject = &where
		}
		diags = append(diags, diag)
	}
	return diags
}
