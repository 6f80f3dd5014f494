package cli

import (
	"bufio"
	"strings"

	"github.com/mattn/go-runewidth"
)

// table prints rows in aligned columns. It looks at the first rows to find the
// widths and then prints as the rows come, so a long table costs no memory.
type table struct {
	out   *bufio.Writer
	paint painter
	limit int // width of the terminal; 0 for no limit
	flex  int // the column that is cut when a row does not fit
	right map[int]bool

	header []string
	rows   [][]string
	widths []int // known once the first rows are printed
}

// sampleRows is how many rows decide on the widths.
const sampleRows = 500

// row adds a row; cells must be clean.
func (t *table) row(cells ...string) error {
	if t.widths == nil {
		t.rows = append(t.rows, cells)
		if len(t.rows) < sampleRows {
			return nil
		}
		return t.end()
	}
	return t.print(cells, false)
}

// end prints what is still held back.
func (t *table) end() error {
	if t.widths != nil {
		return nil
	}
	t.measure()
	if err := t.print(t.header, true); err != nil {
		return err
	}
	for _, cells := range t.rows {
		if err := t.print(cells, false); err != nil {
			return err
		}
	}
	t.rows = nil
	return nil
}

func (t *table) measure() {
	t.widths = make([]int, len(t.header))
	for _, cells := range append([][]string{t.header}, t.rows...) {
		for i, cell := range cells {
			t.widths[i] = max(t.widths[i], runewidth.StringWidth(cell))
		}
	}
	if t.limit == 0 {
		return
	}
	total := 2 * (len(t.widths) - 1)
	for _, w := range t.widths {
		total += w
	}
	if over := total - t.limit; over > 0 {
		t.widths[t.flex] = max(t.widths[t.flex]-over, 8)
	}
}

func (t *table) print(cells []string, header bool) error {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString("  ")
		}
		if t.limit > 0 && i == t.flex {
			cell = runewidth.Truncate(cell, t.widths[i], "…")
		}
		pad := strings.Repeat(" ", max(t.widths[i]-runewidth.StringWidth(cell), 0))
		if header {
			cell = t.paint.bold(cell)
		}
		switch {
		case t.right[i]:
			line.WriteString(pad + cell)
		case i == len(cells)-1:
			line.WriteString(cell)
		default:
			line.WriteString(cell + pad)
		}
	}
	_, err := t.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	return err
}
