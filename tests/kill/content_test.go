//go:build kill && linux

package kill

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// databaseContent is what a database says to a reader: its pages, over them those
// that its WAL has of them. Salts, which are random, are left out, and of what is
// nothing to a reader only what sort of thing it is: how far the pages of the WAL
// were brought into the database, and what follows the last commit.
func databaseContent(db, wal []byte) []byte {
	pages, size, tail := walContent(wal)
	brought := 0
	db = bytes.Clone(db)
	for number, page := range pages {
		place := db[min((number-1)*size, len(db)):min(number*size, len(db))]
		if bytes.Equal(place, page) {
			brought++
		}
		clear(place)
	}
	out := fmt.Appendf(db, "%d pages of %d; all brought: %v, some: %v; %s\n", len(pages), size, brought == len(pages), brought > 0, tail)
	for number := 1; len(pages) > 0; number++ {
		if page, ok := pages[number]; ok {
			out = append(fmt.Appendf(out, "page %d\n", number), page...)
			delete(pages, number)
		}
	}
	return out
}

// walContent returns the pages in a WAL as of its last commit, the size of a page,
// and what sort of thing follows: nothing, whole frames, a torn frame.
func walContent(wal []byte) (pages map[int][]byte, size int, tail string) {
	const header, frameHeader = 32, 24
	if len(wal) < header {
		return nil, 0, fmt.Sprint("no header, torn: ", len(wal) > 0)
	}
	word := func(data []byte, i int) uint32 { return binary.BigEndian.Uint32(data[4*i:]) }
	var order binary.ByteOrder = binary.LittleEndian
	if word(wal, 0)&1 == 1 {
		order = binary.BigEndian
	}
	size = int(word(wal, 2))
	sum := walSum{}.add(order, wal[:24])
	if size < 512 || size > 1<<16 || sum != (walSum{word(wal, 6), word(wal, 7)}) {
		return nil, 0, "no header, but something else"
	}
	pages = map[int][]byte{}
	open := map[int][]byte{} // of a transaction whose commit has not come yet
	var truncated uint32
	rest := wal[header:]
	for len(rest) >= frameHeader+size {
		frame, page := rest[:frameHeader], rest[frameHeader:frameHeader+size]
		next := sum.add(order, frame[:8]).add(order, page)
		if !bytes.Equal(frame[8:16], wal[16:24]) || next != (walSum{word(frame, 4), word(frame, 5)}) {
			break
		}
		sum, rest = next, rest[frameHeader+size:]
		open[int(word(frame, 0))] = page
		if length := word(frame, 1); length != 0 { // a commit
			for number, page := range open {
				pages[number] = page
			}
			clear(open)
			truncated = length
		}
	}
	return pages, size, fmt.Sprintf("a database of %d pages; not committed: %v; torn: %v", truncated, len(open) > 0, len(rest) > 0)
}

// walSum is the checksum of SQLite's WAL.
type walSum [2]uint32

func (s walSum) add(order binary.ByteOrder, data []byte) walSum {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
	return s
}
