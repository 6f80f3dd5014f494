package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// maxPage is the size of the largest page that is decompressed: one value of the
// largest row, which replacements can make twice as long, after a page that is
// nearly full.
const maxPage = 2*maxRow + 2*pageBytes

var errValues = errors.New("it holds other values than its header says")

// pages reads the pages of one column of a row group, one after the other.
type pages struct {
	column column
	data   []byte // what is left of the column
	left   int64  // values that are to come

	size   int    // values of the page
	at     int    // the next value of the page
	levels []bool // whether each value is there; nil when all are
	values []byte // the values of the page that are left, as they are stored
}

// more makes sure that the page has values left, if there are any.
func (p *pages) more() error {
	for p.at == p.size {
		if p.left == 0 {
			return nil
		}
		if err := p.next(); err != nil {
			return fmt.Errorf("column %q: %w", p.column.name, err)
		}
	}
	return nil
}

// end makes sure that nothing follows the last value.
func (p *pages) end() error {
	if p.at != p.size || p.left != 0 || len(p.data) != 0 || len(p.values) != 0 {
		return fmt.Errorf("column %q: %w", p.column.name, errValues)
	}
	return nil
}

// header is the header of a page.
type header struct {
	typ, size, compressed, crc int64
	values, encoding, levels   int64
	summed, data               bool
}

func (p *pages) next() error {
	if len(p.values) != 0 {
		return errValues
	}
	h, body, err := p.page()
	if err != nil {
		return err
	}
	page, err := decompress(body, int(h.size))
	if err != nil {
		return err
	}
	p.size, p.at, p.left, p.levels = int(h.values), 0, p.left-h.values, nil
	if p.column.optional {
		if p.levels, page, err = parseLevels(page, p.size); err != nil {
			return err
		}
	}
	p.values = page
	return nil
}

// page takes the next page off the column's data.
func (p *pages) page() (header, []byte, error) {
	c := &compact{data: p.data}
	h := c.pageHeader()
	switch {
	case c.err != nil:
		return h, nil, c.err
	case h.typ != parquetDataPage || !h.data || h.encoding != encodingPlain || p.column.optional && h.levels != encodingRLE:
		return h, nil, errors.New("a page is of a kind that is not used")
	case h.compressed < 0 || h.compressed > int64(len(c.data)), h.size < 0 || h.size > maxPage, h.values <= 0 || h.values > p.left:
		return h, nil, errors.New("the sizes of a page make no sense")
	}
	body := c.data[:h.compressed:h.compressed]
	p.data = c.data[h.compressed:]
	if h.summed && crc32.ChecksumIEEE(body) != uint32(h.crc) {
		return h, nil, errors.New("the checksum of a page differs")
	}
	return h, body, nil
}

func (c *compact) pageHeader() (h header) {
	c.fields(func(id int64, typ byte) {
		switch id {
		case 1:
			h.typ = c.integer(typ)
		case 2:
			h.size = c.integer(typ)
		case 3:
			h.compressed = c.integer(typ)
		case 4:
			h.crc, h.summed = c.integer(typ), true
		case 5:
			h.data = true
			c.group(typ, func(id int64, typ byte) {
				switch id {
				case 1:
					h.values = c.integer(typ)
				case 2:
					h.encoding = c.integer(typ)
				case 3:
					h.levels = c.integer(typ)
				default:
					c.skip(typ)
				}
			})
		default:
			c.skip(typ)
		}
	})
	return h
}

// parseLevels reads the definition levels of n values, which are bits in runs and
// groups of eight, and returns what follows them.
func parseLevels(page []byte, n int) ([]bool, []byte, error) {
	if len(page) < 4 {
		return nil, nil, errValues
	}
	size := binary.LittleEndian.Uint32(page)
	page = page[4:]
	if uint64(size) > uint64(len(page)) {
		return nil, nil, errValues
	}
	data, rest := page[:size], page[size:]
	levels := make([]bool, 0, n)
	for len(levels) < n {
		head, used := binary.Uvarint(data)
		if used <= 0 {
			return nil, nil, errValues
		}
		data = data[used:]
		count, left := head>>1, uint64(n-len(levels))
		if head&1 == 0 { // a run of one value
			if count == 0 || count > left || len(data) < 1 || data[0] > 1 {
				return nil, nil, errValues
			}
			for range count {
				levels = append(levels, data[0] == 1)
			}
			data = data[1:]
			continue
		}
		if count == 0 || count > uint64(len(data)) {
			return nil, nil, errValues
		}
		for _, b := range data[:count] { // the last group may have bits to spare
			for bit := 0; bit < 8 && len(levels) < n; bit++ {
				levels = append(levels, b>>bit&1 == 1)
			}
		}
		data = data[count:]
	}
	return levels, rest, nil
}
