package rows

import (
	"encoding/binary"
	"errors"
)

// compact reads Thrift's compact protocol, in which the footer and the headers of
// pages are written. A value of a type other than expected reads as zero. The
// first error stays, and ends all loops: what was read must be used only when
// err is nil at the end.
type compact struct {
	data  []byte
	depth int
	err   error
}

// The types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftStruct = 12
)

const maxDepth = 32

var errThrift = errors.New("its metadata are damaged")

func (c *compact) fail() {
	c.err = errThrift
	c.data = nil
}

func (c *compact) byte() byte {
	if len(c.data) == 0 {
		c.fail()
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

func (c *compact) uvarint() uint64 {
	v, n := binary.Uvarint(c.data)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.data = c.data[n:]
	return v
}

func (c *compact) varint() int64 {
	v := c.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// bytes reads a string; it is a part of the data.
func (c *compact) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.data)) {
		c.fail()
		return nil
	}
	b := c.data[:n:n]
	c.data = c.data[n:]
	return b
}

// fields calls f for each field of a struct; f reads the value.
func (c *compact) fields(f func(id int64, typ byte)) {
	if c.depth++; c.depth > maxDepth {
		c.fail()
	}
	defer func() { c.depth-- }()
	for id := int64(0); c.err == nil; {
		head := c.byte()
		if c.err != nil || head == 0 {
			return
		}
		if delta := head >> 4; delta != 0 {
			id += int64(delta)
		} else {
			id = c.varint()
		}
		f(id, head&0x0f)
	}
}

// list calls f for each element of a list of that type; another is passed over.
func (c *compact) list(typ, element byte, f func()) {
	if typ != thriftList {
		c.skip(typ)
		return
	}
	size, found := c.listHead()
	for range size {
		if c.err != nil {
			return
		}
		if found == element {
			f()
		} else {
			c.skipElement(found)
		}
	}
}

// listHead reads the size of a list, which the data can hold, and its type.
func (c *compact) listHead() (int, byte) {
	head := c.byte()
	size := uint64(head >> 4)
	if size == 15 {
		size = c.uvarint()
	}
	if size > uint64(len(c.data)) { // an element has a byte at least
		c.fail()
		return 0, 0
	}
	return int(size), head & 0x0f
}

// integer reads a field that should be an integer.
func (c *compact) integer(typ byte) int64 {
	switch typ {
	case thriftI16, thriftI32, thriftI64:
		return c.varint()
	}
	c.skip(typ)
	return 0
}

// binary reads a field that should be a string.
func (c *compact) binary(typ byte) []byte {
	if typ == thriftBinary {
		return c.bytes()
	}
	c.skip(typ)
	return nil
}

// group reads a field that should be a struct.
func (c *compact) group(typ byte, f func(id int64, typ byte)) {
	if typ == thriftStruct {
		c.fields(f)
		return
	}
	c.skip(typ)
}

// skip passes over the value of a field.
func (c *compact) skip(typ byte) {
	switch typ {
	case thriftTrue, thriftFalse:
	case thriftByte:
		c.byte()
	case thriftI16, thriftI32, thriftI64:
		c.uvarint()
	case thriftDouble:
		if len(c.data) < 8 {
			c.fail()
			return
		}
		c.data = c.data[8:]
	case thriftBinary:
		c.bytes()
	case thriftList, thriftSet:
		c.skipList()
	case thriftStruct:
		c.fields(func(_ int64, typ byte) { c.skip(typ) })
	default: // maps are not used by Parquet
		c.fail()
	}
}

func (c *compact) skipList() {
	if c.depth++; c.depth > maxDepth {
		c.fail()
	}
	defer func() { c.depth-- }()
	size, typ := c.listHead()
	for range size {
		if c.err != nil {
			return
		}
		c.skipElement(typ)
	}
}

// skipElement passes over an element of a list, where a boolean has a byte.
func (c *compact) skipElement(typ byte) {
	if typ == thriftTrue || typ == thriftFalse {
		typ = thriftByte
	}
	c.skip(typ)
}
