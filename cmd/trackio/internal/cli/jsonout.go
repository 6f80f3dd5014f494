package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
)

// jsonObject writes one JSON object in the layout of Python's
// json.dumps(indent=2), its fields in the order of the calls. Lists are
// streamed: nothing is held in memory but one element. The first error stays
// and ends everything that follows.
type jsonObject struct {
	out   *bufio.Writer
	count int
	err   error
}

// field writes one field.
func (o *jsonObject) field(name string, value any) {
	o.name(name)
	o.value(value, "  ")
}

// list writes a field that is a list: each calls add once for every element.
func (o *jsonObject) list(name string, each func(add func(any) error) error) error {
	o.name(name)
	n := 0
	o.text("[")
	err := each(func(element any) error {
		if n++; n > 1 {
			o.text(",")
		}
		o.text("\n    ")
		o.value(element, "    ")
		return o.err
	})
	if err != nil {
		return err
	}
	if n > 0 {
		o.text("\n  ")
	}
	o.text("]")
	return o.err
}

// end closes the object.
func (o *jsonObject) end() error {
	if o.count == 0 {
		o.text("{}\n")
	} else {
		o.text("\n}\n")
	}
	return o.err
}

func (o *jsonObject) name(name string) {
	if o.count == 0 {
		o.text("{\n  ")
	} else {
		o.text(",\n  ")
	}
	o.count++
	o.value(name, "")
	o.text(": ")
}

func (o *jsonObject) value(value any, prefix string) {
	if o.err != nil {
		return
	}
	raw, err := encodeJSON(value)
	if err != nil {
		o.err = err
		return
	}
	var b bytes.Buffer
	if o.err = json.Indent(&b, raw, prefix, "  "); o.err == nil {
		_, o.err = o.out.Write(b.Bytes())
	}
}

func (o *jsonObject) text(s string) {
	if o.err == nil {
		_, o.err = o.out.WriteString(s)
	}
}

// encodeJSON is json.Marshal that leaves <, > and & as they are.
func encodeJSON(value any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
