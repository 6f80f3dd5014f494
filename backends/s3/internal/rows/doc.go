// Package rows keeps the rows of a run as Parquet files, one for each kind of
// rows: metrics, system metrics, alerts and traces. [Writer] writes one, [Read]
// reads one back, and any other Parquet reader may query it in place.
//
// # Layout
//
// Columns, in their order (text is UTF8, ? may be null):
//
//	metrics          timestamp, time?, step, metrics, log_id?, space_id?, exact?
//	system metrics   timestamp, time?, metrics, log_id?, space_id?, exact?
//	alerts           timestamp, time?, title, text?, level, step?, alert_id?, exact?
//	traces           id, timestamp, time?, step, key, trace_index?, messages, metadata, search_text, log_id?, space_id?, exact?
//
// timestamp is the text as it was stored. time is the instant that it names, in
// microseconds since 1970 UTC, as [trackio.ParseTime] reads it (a stamp without
// an offset is UTC), and null when the text is no time. The payloads (metrics,
// messages, metadata) are the bytes of their JSON. A log_id, space_id or alert_id
// that is empty is null.
//
// Text in Parquet must be UTF-8, and the texts of a run need not be: in a text
// that is not, every run of bytes that are no UTF-8 is replaced by U+FFFD, and
// the row's exact, null in every other row, holds the true texts: for each of
// them the number of its column (from 0, in the order above), its length, both
// as unsigned LEB128, and its bytes.
//
// Rows stand in the order in which they were written. A row group ends after
// 32,768 rows or 16 MiB; pages are version 1, PLAIN, compressed with zstd, with a
// CRC each. The statistics of time and step (minimum, maximum, number of nulls)
// stand in the footer. Its key "trackio.format" is the version of this layout,
// "1", and "trackio.kind" the kind of the rows.
//
// # Guarantees
//
// Every field of every row comes back as it was written. A file that is cut,
// damaged or not of this layout is [trackio.ErrDataLoss] and never a panic, nor a
// reading that ends early; one of a newer version is [errors.ErrUnsupported].
// Neither writing nor reading needs memory for more than two row groups and the
// row at hand, plus about a kilobyte for each row group of the file, whose place
// stands in its footer.
//
// A row has at most 256 MiB, and a file at most 32,767 row groups, which is room
// for a thousand million rows, or for 512 GiB of larger ones.
package rows
