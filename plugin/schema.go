package plugin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
)

// schemaOf reads the tags of a configuration struct, which [Define] documents.
func schemaOf(t reflect.Type) (*backendv1.Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a configuration is a struct, not %v", t)
	}
	schema := &backendv1.Schema{}
	for field := range fieldsOf(t) {
		name, options := field.name, field.options
		if inner, repeated, ok := blockType(field.typ); ok {
			nested, err := schemaOf(inner)
			if err != nil {
				return nil, fmt.Errorf("%v.%s: %w", t, field.Name, err)
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
			default:
				return nil, fmt.Errorf("%v.%s: unknown tag option %q", t, field.Name, option)
			}
		}
		schema.Attributes = append(schema.Attributes, attribute)
	}
	return schema, nil
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
