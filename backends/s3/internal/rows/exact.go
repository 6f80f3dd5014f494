package rows

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

const replacement = string(utf8.RuneError)

// exact makes the texts of one row fit for Parquet, where text is UTF-8, and
// keeps those that are not.
type exact struct {
	kept []byte // see the package's comment; nil when every text is UTF-8
	size int    // bytes of all texts
}

func (x *exact) text(column int, s string) string {
	x.size += len(s)
	if utf8.ValidString(s) {
		return s
	}
	x.keep(column, len(s))
	x.kept = append(x.kept, s...)
	return strings.ToValidUTF8(s, replacement)
}

func (x *exact) bytes(column int, b []byte) []byte {
	x.size += len(b)
	if utf8.Valid(b) {
		return b
	}
	x.keep(column, len(b))
	x.kept = append(x.kept, b...)
	return bytes.ToValidUTF8(b, []byte(replacement))
}

func (x *exact) keep(column, size int) {
	x.size += size // it is stored twice
	x.kept = binary.AppendUvarint(x.kept, uint64(column))
	x.kept = binary.AppendUvarint(x.kept, uint64(size))
}

// eachExact calls f with the column and the bytes of each kept text. It reports
// false when kept is not what an exact makes.
func eachExact(kept []byte, f func(column int, b []byte) bool) bool {
	for len(kept) > 0 {
		column, n := binary.Uvarint(kept)
		if n <= 0 || column > 255 {
			return false
		}
		kept = kept[n:]
		size, n := binary.Uvarint(kept)
		if n <= 0 || size > uint64(len(kept)-n) {
			return false
		}
		kept = kept[n:]
		if !f(int(column), kept[:size:size]) {
			return false
		}
		kept = kept[size:]
	}
	return true
}
