package plugin

import (
	"bytes"
	"io"
)

// maxHandshake is more than any handshake line takes, its certificate included.
const maxHandshake = 16 << 10

// handshakeFilter takes the standard output of a process. Its first line, the
// handshake, is for go-plugin, which would stop reading at a line of 64 KiB, and
// with it the process. All that follows is ordinary output.
type handshakeFilter struct {
	line *io.PipeWriter
	rest io.Writer
	room int // for the rest of the line; 0 after it
}

func (f *handshakeFilter) Write(p []byte) (int, error) {
	rest := p
	if f.room > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 || end > f.room {
			end = min(len(p), f.room)
		}
		// An error of the pipe means that nobody waits for the line any more.
		_, _ = f.line.Write(p[:end])
		rest = p[end:]
		if f.room -= end; f.room == 0 || bytes.HasSuffix(p[:end], []byte{'\n'}) {
			f.room = 0
			_ = f.line.Close()
		}
	}
	if len(rest) > 0 {
		_, _ = f.rest.Write(rest)
	}
	return len(p), nil
}
