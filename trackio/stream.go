package trackio

import (
	"encoding/json"
	"iter"
)

// Checked passes a stream of records on and ends it with [ErrInvalid] at the
// first record that breaks the order or the rules described at [Record]: no
// Header first, a kind out of order or not announced by the Header, a payload
// that is not JSON, a media path that is not clean, repeated or out of order.
// Every ImportRun should read its stream through it.
func Checked(records iter.Seq2[Record, error]) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var c streamChecker
		for r, err := range records {
			if err == nil {
				err = c.check(r)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
		if c.header == nil {
			yield(nil, Errorf(ErrInvalid, "stream of records ended before its header"))
		}
	}
}

// streamChecker is the state of one checked stream.
type streamChecker struct {
	header *Header
	last   Kinds  // kind of the record before
	path   string // path of the media before
}

func (c *streamChecker) check(r Record) error {
	if r == nil {
		return Errorf(ErrInvalid, "stream of records holds a nil record")
	}
	if h, ok := r.(*Header); ok {
		if c.header != nil {
			return Errorf(ErrInvalid, "stream of records has two headers")
		}
		c.header = h
		return nil
	}
	kind := r.kind()
	switch {
	case c.header == nil:
		return Errorf(ErrInvalid, "stream of records begins with %T, not with its header", r)
	case !c.header.Kinds.Has(kind):
		return Errorf(ErrInvalid, "stream of records holds a %T that its header does not announce", r)
	case kind < c.last, kind == KindConfig && c.last == KindConfig:
		return Errorf(ErrInvalid, "stream of records has a %T out of order", r)
	}
	c.last = kind
	return c.checkContent(r)
}

func (c *streamChecker) checkContent(r Record) error {
	switch r := r.(type) {
	case *Config:
		return checkJSON("config", r.JSON)
	case *Metrics:
		for i := range r.Rows {
			if err := checkJSON("metrics row", r.Rows[i].Metrics); err != nil {
				return err
			}
		}
	case *SystemMetrics:
		for i := range r.Rows {
			if err := checkJSON("system metrics row", r.Rows[i].Metrics); err != nil {
				return err
			}
		}
	case *Traces:
		for i := range r.Rows {
			if err := checkJSON("messages of a trace", r.Rows[i].Messages); err != nil {
				return err
			}
			if err := checkJSON("metadata of a trace", r.Rows[i].Metadata); err != nil {
				return err
			}
		}
	case *Media:
		if err := CheckMediaPath(r.Path); err != nil {
			return err
		}
		if r.Path <= c.path {
			return Errorf(ErrInvalid, "media %q comes after %q: paths must be in byte order, each once", r.Path, c.path)
		}
		c.path = r.Path
	}
	return nil
}

func checkJSON(what string, payload json.RawMessage) error {
	if !json.Valid(payload) {
		return Errorf(ErrInvalid, "%s is not JSON: %.60q", what, payload)
	}
	return nil
}
