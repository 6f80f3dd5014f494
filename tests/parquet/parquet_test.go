// Package parquet reads the files of rows of an object store with a Parquet reader
// that shares no code with their writer. It knows the layout from its description
// alone.
//
// TRACKIO_PARQUET_DIR names a directory with files, each with what must be found
// in it, as backends/s3/internal/rows/sample writes them; without it, that program
// is run.
package parquet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// samples returns the directory with the files.
func samples(t *testing.T) string {
	if dir := os.Getenv("TRACKIO_PARQUET_DIR"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./backends/s3/internal/rows/sample", dir)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func TestEveryValue(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples(t), "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) { compare(t, path, strings.TrimSuffix(path, ".parquet")+".jsonl") })
	}
}

func compare(t *testing.T, path, told string) {
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	meta := r.MetaData()
	if version := meta.KeyValueMetadata().FindValue("trackio.format"); version == nil || *version != "1" {
		t.Errorf("the version of the layout is not told")
	}
	checkTypes(t, meta.Schema)
	lines, err := os.Open(told)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	want := bufio.NewReader(lines)
	count := int64(0)
	for i := range r.NumRowGroups() {
		for _, row := range readGroup(t, r, i) {
			line, err := want.ReadBytes('\n')
			if err != nil {
				t.Fatalf("there is a row %d, which was not written: %v", count, err)
			}
			compareRow(t, count, row, line)
			count++
		}
	}
	if _, err := want.ReadByte(); err == nil || r.NumRows() != count {
		t.Errorf("rows are missing after %d; the footer says %d", count, r.NumRows())
	}
}

// checkTypes makes sure that readers see text as text and time as time.
func checkTypes(t *testing.T, s *schema.Schema) {
	for i := range s.NumColumns() {
		c := s.Column(i)
		want := schema.LogicalType(schema.StringLogicalType{})
		switch c.Name() {
		case "time":
			want = schema.NewTimestampLogicalType(true, schema.TimeUnitMicros)
		case "step", "trace_index":
			want = schema.NewIntLogicalType(64, true)
		case "exact":
			want = schema.NoLogicalType{}
		}
		if !c.LogicalType().Equals(want) && !(c.LogicalType().IsNone() && want.IsNone()) {
			t.Errorf("column %q is %v, and should be %v", c.Name(), c.LogicalType(), want)
		}
	}
}

// row is a row as it is stored: numbers are int64, texts string, and null is nil.
type row map[string]any

// readGroup returns the rows of a row group, their exact texts restored.
func readGroup(t *testing.T, r *file.Reader, group int) []row {
	g := r.RowGroup(group)
	rows := make([]row, g.NumRows())
	for i := range rows {
		rows[i] = row{}
	}
	names := make([]string, r.MetaData().Schema.NumColumns())
	for i := range names {
		names[i] = r.MetaData().Schema.Column(i).Name()
		column, err := g.Column(i)
		if err != nil {
			t.Fatal(err)
		}
		values := readColumn(t, column, len(rows))
		for j, v := range values {
			rows[j][names[i]] = v
		}
		chunk, err := g.MetaData().ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		if chunk.Compression() != compress.Codecs.Zstd {
			t.Errorf("column %q is compressed with %v", names[i], chunk.Compression())
		}
		checkStatistics(t, names[i], chunk, values)
	}
	for i, row := range rows {
		restore(t, i, row, names)
	}
	return rows
}

func readColumn(t *testing.T, column file.ColumnChunkReader, n int) []any {
	levels := make([]int16, n)
	values := make([]any, 0, n)
	var err error
	switch c := column.(type) {
	case *file.ByteArrayColumnChunkReader:
		values, err = readValues(values, n, levels, c.HasNext, c.ReadBatch, func(b parquet.ByteArray) any { return string(b) }, c.Descriptor())
	case *file.Int64ColumnChunkReader:
		values, err = readValues(values, n, levels, c.HasNext, c.ReadBatch, func(v int64) any { return v }, c.Descriptor())
	default:
		t.Fatalf("a column is a %T", c)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != n {
		t.Fatalf("column %q has %d values of %d", column.Descriptor().Name(), len(values), n)
	}
	return values
}

func readValues[T any](values []any, n int, levels []int16, more func() bool, read func(int64, []T, []int16, []int16) (int64, int, error), value func(T) any, c *schema.Column) ([]any, error) {
	buffer := make([]T, n)
	for more() {
		total, _, err := read(int64(n), buffer, levels, nil)
		if err != nil {
			return nil, err
		}
		at := 0
		for i := range int(total) {
			if c.MaxDefinitionLevel() > 0 && levels[i] == 0 {
				values = append(values, nil)
				continue
			}
			values = append(values, value(buffer[at]))
			at++
		}
	}
	return values, nil
}

// checkStatistics makes sure that nobody who trusts the statistics is misled.
func checkStatistics(t *testing.T, name string, chunk *metadata.ColumnChunkMetaData, values []any) {
	stats, err := chunk.Statistics()
	if err != nil || stats == nil {
		t.Errorf("column %q has no statistics: %v", name, err)
		return
	}
	nulls, least, most := int64(0), int64(1<<63-1), int64(-1<<63)
	for _, v := range values {
		if v == nil {
			nulls++
		} else if n, ok := v.(int64); ok {
			least, most = min(least, n), max(most, n)
		}
	}
	if !stats.HasNullCount() || stats.NullCount() != nulls {
		t.Errorf("column %q has %d nulls, and its statistics say %d", name, nulls, stats.NullCount())
	}
	numbers, ok := stats.(*metadata.Int64Statistics)
	if !ok || nulls == int64(len(values)) {
		return
	}
	if !numbers.HasMinMax() || numbers.Min() != least || numbers.Max() != most {
		t.Errorf("column %q is from %d to %d, and its statistics say %d to %d", name, least, most, numbers.Min(), numbers.Max())
	}
}

// restore puts the exact texts in their places, as the layout describes it, and
// makes sure that only texts that are no UTF-8 have one.
func restore(t *testing.T, i int, r row, names []string) {
	kept, _ := r["exact"].(string)
	delete(r, "exact")
	for data := []byte(kept); len(data) > 0; {
		column, n := binary.Uvarint(data)
		size, m := binary.Uvarint(data[n:])
		data = data[n+m:]
		text := string(data[:size])
		data = data[size:]
		if utf8.ValidString(text) || r[names[column]] != strings.ToValidUTF8(text, "\ufffd") {
			t.Errorf("row %d: %q stands for %q", i, r[names[column]], text)
		}
		r[names[column]] = text
	}
}

func compareRow(t *testing.T, i int64, got row, line []byte) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil {
		t.Fatal(err)
	}
	want := row{}
	for name, v := range members {
		switch v := v.(type) {
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				t.Fatal(err)
			}
			want[name] = n
		case string:
			var b []byte
			if err := json.Unmarshal(fmt.Appendf(nil, "%q", v), &b); err != nil {
				t.Fatal(err)
			}
			want[name] = string(b)
		default:
			want[name] = nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("row %d is %.500q, and was written as %.500q", i, got, want)
	}
}
