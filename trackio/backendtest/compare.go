package backendtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/trackio-go/trackio/trackio"
)

// diff reports the first difference between the run that was expected and the
// one that came.
func diff(want, got run) error {
	if want.name != got.name {
		return fmt.Errorf("name is %q, want %q", got.name, want.name)
	}
	return errors.Join(
		diffConfig(want.config, got.config),
		diffRows("metrics", want.metrics, got.metrics),
		diffRows("system metrics", want.system, got.system),
		diffRows("alerts", want.alerts, got.alerts),
		diffRows("traces", want.traces, got.traces),
		diffMedia(want.media, got.media),
	)
}

func diffConfig(want, got *trackio.Config) error {
	switch {
	case want == nil && got == nil:
		return nil
	case want == nil:
		return fmt.Errorf("a config came, %s, want none", show(got.JSON))
	case got == nil:
		return fmt.Errorf("no config came, want %s", show(want.JSON))
	}
	return diffRows("config", []trackio.Config{*want}, []trackio.Config{*got})
}

// diffRows compares rows field by field.
func diffRows[T any](kind string, want, got []T) error {
	for i := range min(len(want), len(got)) {
		w, g := reflect.ValueOf(want[i]), reflect.ValueOf(got[i])
		for f := range w.NumField() {
			if x, y := w.Field(f).Interface(), g.Field(f).Interface(); !same(x, y) {
				x, y = window(x, y)
				return fmt.Errorf("%s row %d of %d: %s is %s, want %s", kind, i, len(want), w.Type().Field(f).Name, show(y), show(x))
			}
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d rows of %s came, want %d", len(got), kind, len(want))
	}
	return nil
}

func diffMedia(want, got []file) error {
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		switch {
		case w.path != g.path:
			return fmt.Errorf("media %d of %d: path is %q, want %q", i, len(want), g.path, w.path)
		case w.missing != g.missing:
			return fmt.Errorf("media %q: Missing is %t, want %t", w.path, g.missing, w.missing)
		case w.size != g.size:
			return fmt.Errorf("media %q: %d bytes, want %d", w.path, g.size, w.size)
		case w.sha != g.sha:
			return fmt.Errorf("media %q: SHA-256 is %q, want %q: other bytes came back", w.path, g.sha, w.sha)
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d media came, want %d", len(got), len(want))
	}
	return nil
}

func same(x, y any) bool {
	if x, ok := x.(json.RawMessage); ok {
		return bytes.Equal(x, y.(json.RawMessage))
	}
	return reflect.DeepEqual(x, y)
}

// window cuts two long payloads down to where they begin to differ.
func window(x, y any) (any, any) {
	a, ok := x.(json.RawMessage)
	if !ok || len(a) < 200 {
		return x, y
	}
	b := y.(json.RawMessage)
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	cut := func(p json.RawMessage) string {
		from := max(0, min(at-40, len(p)))
		return fmt.Sprintf("%d bytes, from byte %d on %q", len(p), from, p[from:min(len(p), from+80)])
	}
	return cut(a), cut(b)
}

// show prints a field for a message.
func show(v any) string {
	switch v := v.(type) {
	case json.RawMessage:
		if v == nil {
			return "no JSON"
		}
		if len(v) > 300 {
			return fmt.Sprintf("%s... (%d bytes)", v[:300], len(v))
		}
		return string(v)
	case *string:
		if v == nil {
			return "nil"
		}
		return fmt.Sprintf("%q", *v)
	case *int64:
		if v == nil {
			return "nil"
		}
		return fmt.Sprint(*v)
	default:
		return fmt.Sprintf("%#v", v)
	}
}
