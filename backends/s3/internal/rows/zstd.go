package rows

import (
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// zstdCodec compresses and decompresses pages with little memory: a window of
// the size of a page, and one goroutine.
type zstdCodec struct{}

var encoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(pageBytes), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}}

func (zstdCodec) String() string                            { return "ZSTD" }
func (zstdCodec) CompressionCodec() format.CompressionCodec { return format.Zstd }

// Encode implements the codec of the Parquet writer.
func (zstdCodec) Encode(dst, src []byte) ([]byte, error) {
	e := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(e)
	return e.EncodeAll(src, dst[:0]), nil
}

// Decode implements the codec of the Parquet writer, which never reads.
func (zstdCodec) Decode(_, _ []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// maxRatio is more than any data can be compressed: a block of 128 KiB has four
// bytes at least.
const maxRatio = 128 << 10 / 3

// decompress returns the size bytes that src holds compressed. The memory that
// it takes is bound by size and by what src can hold.
func decompress(src []byte, size int) ([]byte, error) {
	if size > (len(src)+1)*maxRatio {
		return nil, errors.New("a page cannot be as large as its header says")
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	dst, err := d.DecodeAll(src, make([]byte, 0, size))
	if err == nil && len(dst) != size {
		err = errors.New("a page has another size than its header says")
	}
	return dst, err
}
