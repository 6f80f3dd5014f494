package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
)

// schemaOf reads the tags of a configuration struct, which [Define] documents.
// around are the structs that it is a block of.
func schemaOf(t reflect.Type, around ...reflect.Type) (*backendv1.Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a configuration is a struct, not %v", t)
	}
	if slices.Contains(around, t) {
		return nil, fmt.Errorf("%v is a block of itself", t)
	}
	schema := &backendv1.Schema{}
	seen := map[string]bool{}
	for field := range fieldsOf(t) {
		name, options := field.name, field.options
		switch {
		case !validAttribute(name):
			return nil, fmt.Errorf("%v.%s: %q is not the name of an attribute", t, field.Name, name)
		case seen[name]:
			return nil, fmt.Errorf("%v.%s: there are two %q", t, field.Name, name)
		case len(around) == 0 && reserved(name):
			return nil, fmt.Errorf("%v.%s: %q has a meaning in every block", t, field.Name, name)
		}
		seen[name] = true
		if inner, repeated, ok := blockType(field.typ); ok {
			nested, err := schemaOf(inner, append(slices.Clone(around), t)...)
			if err != nil {
				return nil, fmt.Errorf("%v.%s: %w", t, field.Name, err)
			}
			if len(nested.Attributes)+len(nested.Blocks) == 0 {
				return nil, fmt.Errorf("%v.%s: a configuration cannot hold a %v, which has no attributes", t, field.Name, field.typ)
			}
			if odd := slices.DeleteFunc(slices.Clone(options), func(o string) bool { return o == "required" }); len(odd) > 0 {
				return nil, fmt.Errorf("%v.%s: unknown tag option %q for a block", t, field.Name, odd[0])
			}
			schema.Blocks = append(schema.Blocks, &backendv1.NestedBlock{
				Name: name, Repeated: repeated, Required: slices.Contains(options, "required"), Schema: nested,
			})
			continue
		}
		kind, ok := attributeType(field.typ)
		if !ok {
			return nil, fmt.Errorf("%v.%s: a configuration cannot hold a %v", t, field.Name, field.typ)
		}
		attribute := &backendv1.Attribute{
			Name: name, Type: kind, Default: field.Tag.Get("default"),
			EnvironmentVariable: field.Tag.Get("env"), Description: field.Tag.Get("help"),
		}
		for _, option := range options {
			switch option {
			case "required":
				attribute.Required = true
			case "sensitive":
				attribute.Sensitive = true
			case "path":
				attribute.Path = true
				if kind != backendv1.AttributeType_ATTRIBUTE_TYPE_STRING {
					return nil, fmt.Errorf("%v.%s: a path is a string", t, field.Name)
				}
			default:
				return nil, fmt.Errorf("%v.%s: unknown tag option %q", t, field.Name, option)
			}
		}
		if err := checkDefault(attribute); err != nil {
			return nil, fmt.Errorf("%v.%s: default: %w", t, field.Name, err)
		}
		schema.Attributes = append(schema.Attributes, attribute)
	}
	return schema, nil
}

func validAttribute(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && strings.Trim(name[:1], "0123456789_") != ""
}

// reserved reports whether a name is that of an attribute which every block may
// have.
func reserved(name string) bool {
	return slices.ContainsFunc(metaSchema.Attributes, func(a hcl.AttributeSchema) bool { return a.Name == name })
}

// checkDefault reports a default that the attribute cannot have.
func checkDefault(a *backendv1.Attribute) error {
	if a.GetDefault() == "" {
		return nil
	}
	var v values
	value := v.parse(a, a.GetDefault(), "tag", hcl.Range{})
	if v.diags.HasErrors() {
		return errors.New(v.diags[0].Detail)
	}
	if wrong := checkValue(a, value); wrong != "" {
		return errors.New(wrong)
	}
	return nil
}

type configField struct {
	reflect.StructField
	name    string
	options []string
	typ     reflect.Type
}

// fieldsOf yields the fields of a configuration struct.
func fieldsOf(t reflect.Type) func(func(configField) bool) {
	return func(yield func(configField) bool) {
		for i := range t.NumField() {
			field := t.Field(i)
			tag, ok := field.Tag.Lookup("trackio")
			if !ok || !field.IsExported() {
				continue
			}
			parts := strings.Split(tag, ",")
			if !yield(configField{field, parts[0], parts[1:], field.Type}) {
				return
			}
		}
	}
}

func attributeType(t reflect.Type) (backendv1.AttributeType, bool) {
	if t == reflect.TypeFor[time.Duration]() {
		return backendv1.AttributeType_ATTRIBUTE_TYPE_DURATION, true
	}
	switch t.Kind() {
	case reflect.String:
		return backendv1.AttributeType_ATTRIBUTE_TYPE_STRING, true
	case reflect.Bool:
		return backendv1.AttributeType_ATTRIBUTE_TYPE_BOOL, true
	case reflect.Int, reflect.Int64:
		return backendv1.AttributeType_ATTRIBUTE_TYPE_INTEGER, true
	case reflect.Float64:
		return backendv1.AttributeType_ATTRIBUTE_TYPE_NUMBER, true
	case reflect.Slice:
		return backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_LIST, t.Elem().Kind() == reflect.String
	case reflect.Map:
		return backendv1.AttributeType_ATTRIBUTE_TYPE_STRING_MAP, t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String
	}
	return 0, false
}

// blockType returns the struct of a nested block.
func blockType(t reflect.Type) (inner reflect.Type, repeated, ok bool) {
	if t.Kind() == reflect.Slice {
		t, repeated = t.Elem(), true
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, repeated, t.Kind() == reflect.Struct
}

// decodeConfig fills a configuration struct from the JSON that a host sends.
func decodeConfig(config []byte, into reflect.Value) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(config, &values); err != nil {
		return fmt.Errorf("the configuration is not a JSON object: %w", err)
	}
	for field := range fieldsOf(into.Type()) {
		raw, ok := values[field.name]
		if !ok {
			continue
		}
		if err := decodeField(raw, into.FieldByIndex(field.Index)); err != nil {
			return attributeError{field.name, err}
		}
	}
	return nil
}

func decodeField(raw json.RawMessage, to reflect.Value) error {
	if inner, repeated, ok := blockType(to.Type()); ok {
		if !repeated {
			return decodeBlock(raw, inner, to)
		}
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		for i, item := range list {
			if err := decodeBlock(item, inner, to.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if to.Type() == reflect.TypeFor[time.Duration]() {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		to.SetInt(int64(d))
		return err
	}
	return json.Unmarshal(raw, to.Addr().Interface())
}

func decodeBlock(raw json.RawMessage, inner reflect.Type, to reflect.Value) error {
	if to.Kind() != reflect.Pointer {
		return decodeConfig(raw, to)
	}
	block := reflect.New(inner)
	to.Set(block)
	return decodeConfig(raw, block.Elem())
}

// attributeError is an error about one attribute.
type attributeError struct {
	attribute string
	error
}

// ConfigAttribute names the attribute, as any error may (see [Define]).
func (e attributeError) ConfigAttribute() string { return e.attribute }

func (e attributeError) Unwrap() error { return e.error }
