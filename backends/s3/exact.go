package s3

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// exact is a text that stands in JSON as it is, white space and all: a string or,
// when it is not UTF-8, {"base64": ...}.
type exact []byte

type packedText struct {
	Base64 []byte `json:"base64"`
}

func (e exact) MarshalJSON() ([]byte, error) {
	if utf8.Valid(e) {
		return marshal(string(e))
	}
	return marshal(packedText{e})
}

func (e *exact) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var packed packedText
		err := json.Unmarshal(data, &packed)
		*e = packed.Base64
		return err
	}
	var text string
	err := json.Unmarshal(data, &text)
	*e = exact(text)
	return err
}

// marshal is json.Marshal for eyes: < stays <.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}
