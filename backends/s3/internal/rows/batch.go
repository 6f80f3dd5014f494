package rows

import (
	"encoding/binary"
)

// What a batch holds at most; a single larger row is a batch of its own.
const (
	batchRows  = 1024
	batchBytes = 256 << 10
)

// batch is a number of rows, still as columns.
type batch struct {
	rows    int
	columns []values
}

// values are those of one column. Where there is none, the number is 0, the text
// "", and the bytes nil.
type values struct {
	there   []bool // nil when all are
	numbers []int64
	texts   []string
	bytes   [][]byte
}

func (b *batch) number(column, i int) int64 { return b.columns[column].numbers[i] }
func (b *batch) text(column, i int) string  { return b.columns[column].texts[i] }
func (b *batch) bytes(column, i int) []byte { return b.columns[column].bytes[i] }

func (v *values) has(i int) bool { return v.there == nil || v.there[i] }

func (b *batch) optionalNumber(column, i int) *int64 {
	if !b.columns[column].has(i) {
		return nil
	}
	n := b.columns[column].numbers[i]
	return &n
}

func (b *batch) optionalText(column, i int) *string {
	if !b.columns[column].has(i) {
		return nil
	}
	s := b.columns[column].texts[i]
	return &s
}

// take moves the next n values of the page to v. Texts are copied together;
// bytes stay where they are, in the page, which nothing changes any more.
func (p *pages) take(v *values, n int) error {
	*v = values{}
	if p.levels != nil {
		v.there = p.levels[p.at : p.at+n]
	}
	p.at += n
	if p.column.holds == number {
		return p.takeNumbers(v, n)
	}
	ends := make([]int, n) // of the values, in what is left of the page
	at := 0
	for i := range ends {
		if v.has(i) {
			if len(p.values)-at < 4 {
				return errValues
			}
			size := binary.LittleEndian.Uint32(p.values[at:])
			if at += 4; uint64(size) > uint64(len(p.values)-at) {
				return errValues
			}
			at += int(size)
		}
		ends[i] = at
	}
	data := p.values[:at]
	p.values = p.values[at:]
	if p.column.holds == payload {
		v.bytes = make([][]byte, n)
	} else {
		v.texts = make([]string, n)
	}
	all := ""
	if v.texts != nil {
		all = string(data)
	}
	from := 0
	for i, end := range ends {
		if v.has(i) {
			if v.texts != nil {
				v.texts[i] = all[from+4 : end]
			} else {
				v.bytes[i] = data[from+4 : end : end]
			}
		}
		from = end
	}
	return nil
}

func (p *pages) takeNumbers(v *values, n int) error {
	v.numbers = make([]int64, n)
	for i := range v.numbers {
		if !v.has(i) {
			continue
		}
		if len(p.values) < 8 {
			return errValues
		}
		v.numbers[i] = int64(binary.LittleEndian.Uint64(p.values))
		p.values = p.values[8:]
	}
	return nil
}

// fit returns how many of the next n values of the page make up a batch: as many
// as have batchBytes, and one at least.
func (p *pages) fit(n int) int {
	if p.column.holds == number {
		return n
	}
	at := 0
	for i := range n {
		if p.levels != nil && !p.levels[p.at+i] {
			continue
		}
		if len(p.values)-at < 4 {
			return i + 1 // take says what is wrong
		}
		at += 4 + int(binary.LittleEndian.Uint32(p.values[at:]))
		if at > batchBytes || at > len(p.values) {
			return max(i, 1)
		}
	}
	return n
}

// restore puts the exact texts of the rows in the place of what stands for them.
func (b *batch) restore(columns []column) error {
	kept := b.columns[len(columns)-1] // the column "exact" is the last of every kind
	for i := range b.rows {
		if kept.bytes[i] == nil {
			continue
		}
		ok := eachExact(kept.bytes[i], func(column int, data []byte) bool {
			if column >= len(columns)-1 || columns[column].holds == number || !b.columns[column].has(i) {
				return false
			}
			if columns[column].holds == text {
				b.columns[column].texts[i] = string(data)
			} else {
				b.columns[column].bytes[i] = data
			}
			return true
		})
		if !ok {
			return errValues
		}
	}
	return nil
}
