package rows

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/trackio-go/trackio/trackio"
)

// footer is what a file says of itself.
type footer struct {
	rows   int64
	sum    string // see Summary.Footer
	groups []group
}

// group is one row group: where its bytes are, and what its statistics say.
type group struct {
	rows   int64
	chunks []chunk // one for each column
	step   bounds
	time   bounds
}

// chunk is the place of one column of a row group in the file.
type chunk struct{ from, to int64 }

// maxGroup is the size of the largest row group that is fetched: one of the largest
// row, whose texts can be there twice, one of them twice as long, after a group
// that is nearly full. maxGroupRows are the most rows that one may have.
const (
	maxGroup     = 3*maxRow + 4*groupBytes
	maxGroupRows = 1 << 20
)

// bounds are the least and the greatest value of a column in a row group.
type bounds struct {
	known    bool // else any value may be there
	min, max int64
	nulls    bool // some rows have no value
}

// span returns the bytes of the file in which the row group lies.
func (g *group) span() chunk {
	all := g.chunks[0]
	for _, c := range g.chunks[1:] {
		all.from, all.to = min(all.from, c.from), max(all.to, c.to)
	}
	return all
}

// The numbers that Parquet gives to what is used here.
const (
	parquetInt64     = 2
	parquetByteArray = 6
	parquetRequired  = 0
	parquetOptional  = 1
	parquetZstd      = 6
	encodingPlain    = 0
	encodingRLE      = 3
	parquetDataPage  = 0
)

// rawFooter is the footer as it stands in the file.
type rawFooter struct {
	schema []element
	rows   int64
	groups []rawGroup
	pairs  map[string]string
}

type element struct {
	physical, repetition, children int64
	name                           string
}

type rawGroup struct {
	rows   int64
	chunks []rawChunk
}

type rawChunk struct {
	file                   bool // the data are in another file
	codec, values          int64
	size, data, dictionary int64
	stats                  rawStats
}

type rawStats struct {
	min, max []byte
	nulls    int64
	counted  bool
}

// parseFooter reads the metadata of a file whose data end at the given offset, and
// makes sure that they are of this layout.
func parseFooter[R Row](data []byte, end int64, k *kind[R]) (*footer, error) {
	raw, err := parseRaw(data)
	if err != nil {
		return nil, err
	}
	switch version := raw.pairs[formatKey]; {
	case version == "":
		return nil, errors.New("it was not written by trackio")
	case version != formatVersion:
		return nil, trackio.Errorf(errors.ErrUnsupported, "it has version %q of the layout, and this program knows %q", version, formatVersion).
			WithHint("use a newer version of trackio")
	case raw.pairs[kindKey] != k.name:
		return nil, fmt.Errorf("it holds %q", raw.pairs[kindKey])
	}
	if err := k.checkSchema(raw.schema); err != nil {
		return nil, err
	}
	f := &footer{rows: raw.rows, sum: sumOf(data), groups: make([]group, 0, len(raw.groups))}
	var rows, at int64
	for i := range raw.groups {
		g, err := k.group(&raw.groups[i], end)
		if err != nil {
			return nil, err
		}
		if g.chunks[0].from < at {
			return nil, errors.New("its row groups are out of order")
		}
		at = g.span().to
		rows += g.rows
		f.groups = append(f.groups, g)
	}
	if rows != f.rows {
		return nil, fmt.Errorf("its row groups hold %d rows, and it says %d", rows, f.rows)
	}
	return f, nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// sumFooter returns the checksum of the footer with which a file ends.
func sumFooter(end []byte) string {
	end = end[:len(end)-len(magic)]
	length := int(binary.LittleEndian.Uint32(end[len(end)-4:]))
	end = end[:len(end)-4]
	return sumOf(end[len(end)-length:])
}

func (k *kind[R]) checkSchema(schema []element) error {
	if len(schema) != len(k.columns)+1 || schema[0].children != int64(len(k.columns)) {
		return fmt.Errorf("it has other columns than %s have", k.name)
	}
	for i, e := range schema[1:] {
		c := k.columns[i]
		want := element{physical: parquetByteArray, repetition: parquetRequired, name: c.name}
		if c.holds == number {
			want.physical = parquetInt64
		}
		if c.optional {
			want.repetition = parquetOptional
		}
		if e != want {
			return fmt.Errorf("its column %.40q is not the column %q of %s", e.name, c.name, k.name)
		}
	}
	return nil
}

// group checks a row group; its bytes must lie before end.
func (k *kind[R]) group(raw *rawGroup, end int64) (group, error) {
	g := group{rows: raw.rows, chunks: make([]chunk, len(raw.chunks))}
	if len(raw.chunks) != len(k.columns) || raw.rows <= 0 || raw.rows > maxGroupRows {
		return g, errors.New("a row group has the wrong columns or no rows")
	}
	for i := range raw.chunks {
		c := &raw.chunks[i]
		if c.file || c.codec != parquetZstd || c.values != raw.rows || c.dictionary != 0 ||
			c.data < 4 || c.size <= 0 || c.size > end || c.data > end-c.size {
			return g, fmt.Errorf("the place of column %q makes no sense", k.columns[i].name)
		}
		g.chunks[i] = chunk{c.data, c.data + c.size}
		switch k.columns[i].name {
		case stepColumn:
			g.step = c.stats.bounds()
		case timeColumn:
			g.time = c.stats.bounds()
		}
	}
	// The columns of a row group stand one after the other, so that one request
	// brings them all and nothing else.
	for i := 1; i < len(g.chunks); i++ {
		if g.chunks[i].from != g.chunks[i-1].to {
			return g, errors.New("the columns of a row group do not stand together")
		}
	}
	if span := g.span(); span.to-span.from > maxGroup {
		return g, errors.New("a row group is larger than it can be")
	}
	return g, nil
}

func (s *rawStats) bounds() bounds {
	if len(s.min) != 8 || len(s.max) != 8 || !s.counted {
		return bounds{}
	}
	return bounds{
		known: true, nulls: s.nulls > 0,
		min: int64(binary.LittleEndian.Uint64(s.min)), max: int64(binary.LittleEndian.Uint64(s.max)),
	}
}

func parseRaw(data []byte) (*rawFooter, error) {
	c := &compact{data: data}
	f := &rawFooter{pairs: map[string]string{}}
	c.fields(func(id int64, typ byte) {
		switch id {
		case 2:
			c.list(typ, thriftStruct, func() { f.schema = append(f.schema, c.element()) })
		case 3:
			f.rows = c.integer(typ)
		case 4:
			c.list(typ, thriftStruct, func() { f.groups = append(f.groups, c.rowGroup()) })
		case 5:
			c.list(typ, thriftStruct, func() { c.pair(f.pairs) })
		default:
			c.skip(typ)
		}
	})
	return f, c.err
}

func (c *compact) pair(pairs map[string]string) {
	var key, value string
	c.fields(func(id int64, typ byte) {
		switch id {
		case 1:
			key = string(c.binary(typ))
		case 2:
			value = string(c.binary(typ))
		default:
			c.skip(typ)
		}
	})
	pairs[key] = value
}

func (c *compact) element() (e element) {
	c.fields(func(id int64, typ byte) {
		switch id {
		case 1:
			e.physical = c.integer(typ)
		case 3:
			e.repetition = c.integer(typ)
		case 4:
			e.name = string(c.binary(typ))
		case 5:
			e.children = c.integer(typ)
		default:
			c.skip(typ)
		}
	})
	return e
}

func (c *compact) rowGroup() (g rawGroup) {
	c.fields(func(id int64, typ byte) {
		switch id {
		case 1:
			c.list(typ, thriftStruct, func() { g.chunks = append(g.chunks, c.columnChunk()) })
		case 3:
			g.rows = c.integer(typ)
		default:
			c.skip(typ)
		}
	})
	return g
}

func (c *compact) columnChunk() (k rawChunk) {
	c.fields(func(id int64, typ byte) {
		switch id {
		case 1:
			k.file = true
			c.skip(typ)
		case 3:
			c.group(typ, func(id int64, typ byte) { c.columnData(&k, id, typ) })
		default:
			c.skip(typ)
		}
	})
	return k
}

func (c *compact) columnData(k *rawChunk, id int64, typ byte) {
	switch id {
	case 4:
		k.codec = c.integer(typ)
	case 5:
		k.values = c.integer(typ)
	case 7:
		k.size = c.integer(typ)
	case 9:
		k.data = c.integer(typ)
	case 11:
		k.dictionary = c.integer(typ)
	case 12:
		c.group(typ, func(id int64, typ byte) { c.statistics(&k.stats, id, typ) })
	default:
		c.skip(typ)
	}
}

func (c *compact) statistics(s *rawStats, id int64, typ byte) {
	switch id {
	case 3:
		s.nulls, s.counted = c.integer(typ), true
	case 5:
		s.max = c.binary(typ)
	case 6:
		s.min = c.binary(typ)
	default:
		c.skip(typ)
	}
}
