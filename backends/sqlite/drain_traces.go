package sqlite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/trackio-go/trackio/trackio"
)

// traceValue is a trace that was logged as a metric.
type traceValue struct {
	key                string
	index              *int // its place, when it stood in a list
	messages, metadata []byte
}

// splitTraces takes the traces out of the metrics of a row, as Python Trackio
// does before it stores them: values that are traces, and those in lists. What
// remains is compact, its tokens as they were.
func splitTraces(metrics json.RawMessage) ([]byte, []traceValue, error) {
	if metrics[0] != '{' {
		return nil, nil, trackio.Errorf(trackio.ErrDataLoss, "metrics are %.40s, not an object", metrics)
	}
	if !bytes.Contains(metrics, []byte(traceType)) && !bytes.Contains(metrics, []byte(`\u`)) {
		return compact(metrics), nil, nil
	}
	values := json.NewDecoder(bytes.NewReader(metrics))
	if _, err := values.Token(); err != nil {
		return nil, nil, err
	}
	var traces []traceValue
	rest := []byte("{")
	for values.More() {
		token, err := values.Token()
		if err != nil {
			return nil, nil, err
		}
		key := token.(string) // the decoder takes nothing else there
		var value json.RawMessage
		if err := values.Decode(&value); err != nil {
			return nil, nil, err
		}
		found, left := tracesIn(key, value)
		traces = append(traces, found...)
		if left == nil {
			continue
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(append(appendJSONString(rest, key), ':'), compact(left)...)
	}
	if len(traces) == 0 {
		return compact(metrics), nil, nil
	}
	return append(rest, '}'), traces, nil
}

const traceType = "trackio.trace"

// tracesIn returns the traces of a value and what is left without them, nil for
// nothing.
func tracesIn(key string, value json.RawMessage) ([]traceValue, json.RawMessage) {
	if trace, ok := traceOf(key, value); ok {
		return []traceValue{trace}, nil
	}
	var items []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &items) != nil {
		return nil, value
	}
	var traces []traceValue
	var left [][]byte
	for i, item := range items {
		if trace, ok := traceOf(key, item); ok {
			trace.index = &i
			traces = append(traces, trace)
		} else {
			left = append(left, item)
		}
	}
	switch {
	case len(traces) == 0:
		return nil, value
	case len(left) == 0:
		return traces, nil
	}
	return traces, fmt.Appendf(nil, "[%s]", bytes.Join(left, []byte(",")))
}

func traceOf(key string, value json.RawMessage) (traceValue, bool) {
	var fields map[string]json.RawMessage
	if value[0] != '{' || json.Unmarshal(value, &fields) != nil {
		return traceValue{}, false
	}
	var kind string
	if json.Unmarshal(fields["_type"], &kind) != nil || kind != traceType {
		return traceValue{}, false
	}
	t := traceValue{key: key, messages: []byte("[]"), metadata: []byte("{}")}
	if raw := fields["messages"]; raw != nil {
		t.messages = compact(raw)
	}
	if raw := fields["metadata"]; raw != nil {
		t.metadata = compact(raw)
	}
	return t, true
}

// id is the trace's key in its table.
func (t *traceValue) id(runID, logID string) string {
	id := runID + ":" + logID + ":" + t.key
	if t.index != nil {
		id += ":" + strconv.Itoa(*t.index)
	}
	return id
}

// searchText is what Python Trackio's dashboard searches for traces: every value
// of the messages and of the metadata, in lower case.
func (t *traceValue) searchText(id string) string {
	var parts []string
	for _, raw := range [][]byte{t.messages, t.metadata} {
		values := json.NewDecoder(bytes.NewReader(raw))
		values.UseNumber()
		parts = appendTexts(parts, values)
	}
	return strings.ToLower(id + " " + t.key + " " + strings.Join(parts, " "))
}

// appendTexts appends the next value's texts, as Python's str writes them.
func appendTexts(parts []string, values *json.Decoder) []string {
	token, err := values.Token()
	if err != nil {
		return parts
	}
	switch value := token.(type) {
	case json.Delim:
		for values.More() {
			if value == '{' {
				_, _ = values.Token() // a key
			}
			parts = appendTexts(parts, values)
		}
		_, _ = values.Token() // the end
	case string:
		parts = append(parts, value)
	case bool:
		parts = append(parts, strconv.FormatBool(value))
	case json.Number:
		parts = append(parts, pythonNumber(string(value)))
	}
	return parts
}

// pythonNumber writes a number of JSON as Python does after reading it.
func pythonNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		_, err1 := strconv.ParseInt(text, 10, 64)
		_, err2 := strconv.ParseUint(text, 10, 64)
		if err1 == nil || err2 == nil {
			return text
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	short := strconv.FormatFloat(x, 'e', -1, 64)
	_, exponent, _ := strings.Cut(short, "e")
	if n, err := strconv.Atoi(exponent); err != nil || n < -4 || n >= 16 {
		return short
	}
	if short = strconv.FormatFloat(x, 'f', -1, 64); !strings.Contains(short, ".") {
		short += ".0"
	}
	return short
}
