package trackio

import (
	"cmp"
	"encoding/json"
	"iter"
)

// Checked passes a stream of records on and ends it with [ErrInvalid] at the
// first record that breaks the order or the rules described at [Record]: no
// Header first, a kind out of order or not announced by the Header, a row whose
// timestamp is smaller, as text, than that of the row of its kind before it, a
// payload that is not JSON, a media path that is not clean, repeated or out of
// order.
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
	stamp  string // timestamp of the row before, if it was of that kind
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
	if kind != c.last {
		c.last, c.stamp = kind, ""
	}
	return c.checkContent(r)
}

func (c *streamChecker) checkContent(r Record) error {
	switch r := r.(type) {
	case *Config:
		return checkJSON("config", r.JSON)
	case *Metrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			if err := cmp.Or(c.checkOrder("metrics row", row.Timestamp), checkJSON("metrics row", row.Metrics)); err != nil {
				return err
			}
		}
	case *SystemMetrics:
		for i := range r.Rows {
			row := &r.Rows[i]
			if err := cmp.Or(c.checkOrder("system metrics row", row.Timestamp), checkJSON("system metrics row", row.Metrics)); err != nil {
				return err
			}
		}
	case *Alerts:
		for i := range r.Rows {
			if err := c.checkOrder("alert", r.Rows[i].Timestamp); err != nil {
				return err
			}
		}
	case *Traces:
		for i := range r.Rows {
			row := &r.Rows[i]
			err := cmp.Or(
				c.checkOrder("trace", row.Timestamp),
				checkJSON("messages of a trace", row.Messages),
				checkJSON("metadata of a trace", row.Metadata),
			)
			if err != nil {
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

// checkOrder checks that a row comes after the one of its kind before it.
func (c *streamChecker) checkOrder(what, stamp string) error {
	if stamp < c.stamp {
		return Errorf(ErrInvalid, "stream of records has a %s out of order: that of %q comes after one of %q", what, stamp, c.stamp)
	}
	c.stamp = stamp
	return nil
}

func checkJSON(what string, payload json.RawMessage) error {
	if !json.Valid(payload) {
		return Errorf(ErrInvalid, "%s is not JSON: %.60q", what, payload)
	}
	return nil
}
